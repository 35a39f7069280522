"""Reads and changes parts of a model, as objects of the official schema."""

import copy
import hashlib
from collections.abc import Collection

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.tflite.flatbuffer import Deferred


def per_channel(tensor: schema.TensorT) -> bool:
    """Whether a tensor is quantized with more than one scale."""
    scales = tensor.quantization.scale if tensor.quantization else None
    return scales is not None and len(scales) > 1


_TYPES: dict[int, str] = {v: k for k, v in vars(schema.TensorType).items() if not k.startswith("_")}


def type_name(tensor: schema.TensorT) -> str:
    """A tensor's type as the schema spells it."""
    return _TYPES[tensor.type]


def text(value: bytes | str | None) -> str:
    """A name as text; the object API hands out bytes."""
    return value.decode() if isinstance(value, bytes) else (value or "")


def metadata(model: schema.ModelT, name: str) -> bytes | None:
    """The content of a metadata entry; None if there is no such entry."""
    for entry in model.metadata or []:
        if text(entry.name) == name:
            return bytes(model.buffers[entry.buffer].data)
    return None


def with_metadata(model: schema.ModelT, name: str, content: bytes | None) -> schema.ModelT:
    """Sets a metadata entry, or removes it if the content is None; changes the model in place and returns it."""
    model.metadata = [e for e in model.metadata or [] if text(e.name) != name]
    if content is not None:
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(content, np.uint8)
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata.append(entry)
    return model


def signature(model: schema.ModelT, key: str) -> schema.SignatureDefT:
    """The signature of that name; raises UserError, with the names of the others, if there is none."""
    for candidate in model.signatureDefs or []:
        if text(candidate.signatureKey) == key:
            return candidate
    names = ", ".join(text(s.signatureKey) for s in model.signatureDefs or [])
    raise UserError(f"the model has no signature {key!r}; it has: {names}")


def without_signatures(model: schema.ModelT, keys: Collection[str]) -> schema.ModelT:
    """The model without some signatures, their subgraphs and what only they need; the argument is not changed."""
    kept = copy.copy(model)
    signatures = [s for s in model.signatureDefs if text(s.signatureKey) not in keys]
    kept.signatureDefs = [copy.copy(s) for s in signatures]
    kept.subgraphs = [copy.copy(model.subgraphs[s.subgraphIndex]) for s in signatures]
    for index, signature in enumerate(kept.signatureDefs):
        signature.subgraphIndex = index
    for subgraph in kept.subgraphs:
        subgraph.tensors = [copy.copy(t) for t in subgraph.tensors]
    return share_buffers(without_unused_codes(kept))


def without_dead_operators(model: schema.ModelT) -> schema.ModelT:
    """Drops operators whose results are not read, and what only they read; changes the model in place."""
    for subgraph in model.subgraphs:
        read = {int(i) for i in subgraph.outputs}
        needed = []
        for operator in reversed(subgraph.operators):
            if any(int(o) in read for o in operator.outputs):
                needed.append(operator)
                read |= {int(i) for i in operator.inputs}
        subgraph.operators = needed[::-1]
    return without_unused_codes(model)


def without_unused_codes(model: schema.ModelT) -> schema.ModelT:
    """Drops operator codes without an operator, in place: a runtime would look for their kernels."""
    used = sorted({o.opcodeIndex for s in model.subgraphs for o in s.operators})
    new_index = {old: new for new, old in enumerate(used)}
    model.operatorCodes = [model.operatorCodes[i] for i in used]
    for subgraph in model.subgraphs:
        subgraph.operators = [_with_code(o, new_index[o.opcodeIndex]) for o in subgraph.operators]
    return model


def _with_code(operator: schema.OperatorT, code: int) -> schema.OperatorT:
    new = copy.copy(operator)
    new.opcodeIndex = code
    return new


_BUILT_IN: dict[int, str] = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}
_BUILT_IN_NAMES = frozenset(_BUILT_IN.values())
BUILT_IN, SELECT_TF, CUSTOM = "built-in", "Select TF", "custom"


def operator_kind(name: str) -> str:
    """Where an operator of that name comes from: every runtime, Select TF, or the app itself."""
    if name in _BUILT_IN_NAMES:
        return BUILT_IN
    return SELECT_TF if name.startswith("Flex") else CUSTOM


def operator_names(model: schema.ModelT) -> list[str]:
    """The name of each operator code, a built-in's or a custom op's."""
    return [
        text(code.customCode) if _builtin(code) == schema.BuiltinOperator.CUSTOM else _BUILT_IN[_builtin(code)]
        for code in model.operatorCodes
    ]


def _builtin(code: schema.OperatorCodeT) -> int:
    """The code of a built-in; files older than codes above 127 have it in the deprecated field."""
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def move_to_front(model: schema.ModelT, name: str) -> None:
    """Moves operators of that name to the front of the main subgraph, in place; they must read constants only."""
    names, subgraph = operator_names(model), model.subgraphs[0]
    first = [o for o in subgraph.operators if names[o.opcodeIndex] == name]
    subgraph.operators = first + [o for o in subgraph.operators if names[o.opcodeIndex] != name]


def operator_code(model: schema.ModelT, builtin: int, version: int) -> int:
    """The index of a built-in operator's code, which is added if the model lacks it."""
    for index, code in enumerate(model.operatorCodes):
        if _builtin(code) == builtin and code.version == version:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def share_buffers(model: schema.ModelT) -> schema.ModelT:
    """Stores equal contents once and drops unused buffers; changes the model in place and returns it.

    The converter and the quantizer repeat a weight in each signature.
    """
    buffers: list[schema.BufferT] = [schema.BufferT()]  # the schema wants buffer 0 to be empty
    index_of_content: dict[object, int] = {}
    new_indices = {0: 0}

    def new_index(old: int) -> int:
        if old not in new_indices:
            content = model.buffers[old].data
            if content is None or len(content) == 0:
                new_indices[old] = 0
            else:
                new_indices[old] = index_of_content.setdefault(_content_key(content), len(buffers))
                if new_indices[old] == len(buffers):
                    buffers.append(model.buffers[old])
        return new_indices[old]

    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            tensor.buffer = new_index(tensor.buffer)
    for entry in model.metadata or []:
        entry.buffer = new_index(entry.buffer)
    model.buffers = buffers
    return model


def with_unshared_constants(model: schema.ModelT) -> schema.ModelT:
    """Gives each operator its own copy of a constant that another one reads; changes the model in place and returns it.

    litert-quantizer 0.11 fails if only one of the two operators is to be quantized in blocks.
    """
    for subgraph in model.subgraphs:
        read: set[int] = set()
        for operator in subgraph.operators:
            operator.inputs = list(operator.inputs)
            for position, index in enumerate(operator.inputs):
                content = model.buffers[subgraph.tensors[index].buffer].data if index >= 0 else None
                if index in read and content is not None:
                    operator.inputs[position] = len(subgraph.tensors)
                    subgraph.tensors.append(_copied(model, subgraph.tensors[index], len(subgraph.tensors)))
                read.add(index)
    return model


def _copied(model: schema.ModelT, tensor: schema.TensorT, number: int) -> schema.TensorT:
    new = copy.copy(tensor)
    new.name, new.buffer = f"{text(tensor.name)}_{number}", len(model.buffers)
    model.buffers.append(copy.copy(model.buffers[tensor.buffer]))
    return new


def _content_key(content: Array | Deferred) -> object:
    """A key that buffers of equal content share; content that is not made yet equals itself only."""
    return id(content) if isinstance(content, Deferred) else hashlib.sha256(content.data).digest()
