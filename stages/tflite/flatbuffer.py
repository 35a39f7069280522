"""Reading and writing .tflite files as objects of the official schema, every buffer followed to its bytes."""

import struct
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from stages.errors import UserError
from stages.files import write_bytes

_IDENTIFIER = b"TFL3"


def read(path: Path) -> schema.ModelT:
    """Reads a model file; raises UserError where it is missing, truncated or no TensorFlow Lite file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it") from None
    try:
        return parse(data)
    except (ValueError, IndexError, TypeError, AttributeError, OverflowError, struct.error) as error:
        # The generated reader meets damage as any of these, wherever an offset points to nothing.
        raise UserError(
            f"{path} is not a whole TensorFlow Lite file ({len(data)} bytes: {error}); delete it and run `dvc repro`"
        ) from None


def parse(data: bytes) -> schema.ModelT:
    """The model in `data`, with buffers stored by offset (ai-edge-quantizer's form) brought inside."""
    if data[4:8] != _IDENTIFIER:
        raise ValueError("the identifier TFL3 is missing")
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    for index, buffer in enumerate(model.buffers):
        # 0 and 1 stand for "not by offset" in the schema.
        if buffer.offset > 1:
            if buffer.offset + buffer.size > len(data):
                raise ValueError(f"buffer {index} ends at byte {buffer.offset + buffer.size}")
            buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    return model


def buffers_inline(path: Path) -> bool:
    """Whether a file holds every buffer inside the flatbuffer, the only form that TFLite before 2.13 reads."""
    packed = schema.Model.GetRootAs(path.read_bytes(), 0)
    return all(packed.Buffers(i).Offset() <= 1 for i in range(packed.BuffersLength()))


def per_channel(tensor: schema.TensorT) -> bool:
    """Whether a tensor is quantized with more than one scale."""
    scales = tensor.quantization.scale if tensor.quantization else None
    return scales is not None and len(scales) > 1


def serialize(model: schema.ModelT) -> bytes:
    """The model's bytes, buffers inline: TFLite 2.12 (the demo app's) reads no other form."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def write(model: schema.ModelT, path: Path) -> None:
    """Writes a model file, whole or not at all."""
    write_bytes(path, serialize(model))


def text(value: bytes | str | None) -> str:
    """A name of the object API, which hands out bytes, as text."""
    return value.decode() if isinstance(value, bytes) else (value or "")


def metadata(model: schema.ModelT, name: str) -> bytes | None:
    """The content of a metadata entry, None where the model has no such entry."""
    for entry in model.metadata or []:
        if text(entry.name) == name:
            return bytes(model.buffers[entry.buffer].data)
    return None


def with_metadata(model: schema.ModelT, name: str, content: bytes | None) -> schema.ModelT:
    """Sets a metadata entry, or removes it where the content is None; changes the model in place and returns it."""
    model.metadata = [e for e in model.metadata or [] if text(e.name) != name]
    if content is not None:
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(content, np.uint8)
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata.append(entry)
    return model


def signature(model: schema.ModelT, key: str) -> schema.SignatureDefT:
    """The signature of that name; raises UserError with the names there are."""
    for candidate in model.signatureDefs or []:
        if text(candidate.signatureKey) == key:
            return candidate
    names = ", ".join(text(s.signatureKey) for s in model.signatureDefs or [])
    raise UserError(f"the model has no signature {key!r}; it has: {names}")


def operator_names(model: schema.ModelT) -> list[str]:
    """The name of each operator code: the built-in's, or the custom op's own."""
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}
    return [
        text(code.customCode) if _builtin(code) == schema.BuiltinOperator.CUSTOM else names[_builtin(code)]
        for code in model.operatorCodes
    ]


def _builtin(code: schema.OperatorCodeT) -> int:
    """Files made before the enumeration outgrew a byte carry the code in the deprecated field."""
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def move_to_front(model: schema.ModelT, name: str) -> None:
    """Puts operators of that name, which must read constants alone, first in the main subgraph; changes the model."""
    names, subgraph = operator_names(model), model.subgraphs[0]
    first = [o for o in subgraph.operators if names[o.opcodeIndex] == name]
    subgraph.operators = first + [o for o in subgraph.operators if names[o.opcodeIndex] != name]


def operator_code(model: schema.ModelT, builtin: int, version: int) -> int:
    """The index of a built-in operator's code, added where the model lacks it."""
    for index, code in enumerate(model.operatorCodes):
        if _builtin(code) == builtin and code.version == version:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def share_buffers(model: schema.ModelT) -> schema.ModelT:
    """Stores equal bytes once and drops buffers that nothing names; changes the model in place and returns it.

    The converter and the quantizer both repeat a weight in each signature.
    """
    by_content: dict[bytes, int] = {}
    kept: list[schema.BufferT] = [schema.BufferT()]  # buffer 0 is empty by the schema's rule
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is None or len(data) == 0:
                tensor.buffer = 0
                continue
            tensor.buffer = _index_of(bytes(data), model.buffers[tensor.buffer], by_content, kept)
    for entry in model.metadata or []:
        data = model.buffers[entry.buffer].data
        entry.buffer = _index_of(bytes(data), model.buffers[entry.buffer], by_content, kept)
    model.buffers = kept
    return model


def _index_of(content: bytes, buffer: schema.BufferT, by_content: dict[bytes, int], kept: list[schema.BufferT]) -> int:
    if content not in by_content:
        by_content[content] = len(kept)
        kept.append(buffer)
    return by_content[content]
