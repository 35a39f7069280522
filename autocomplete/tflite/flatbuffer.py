"""Reading and writing .tflite files as objects of the official schema, every buffer followed to its bytes."""

import copy
import functools
import mmap
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing_file

_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # of a buffer's bytes, by the schema (force_align)
# What a 32-bit offset of the flatbuffer format reaches, less the model's own tables.
_INLINE_LIMIT = 2**31 - 2**24
# A buffer's fields in its table, by the schema.
_DATA, _OFFSET, _SIZE = 4, 6, 8


@dataclass(frozen=True)
class Deferred:
    """A buffer's content, `size` bytes, made when the file is written: weights never meet in memory."""

    size: int
    make: Callable[[], Array]

    def __len__(self) -> int:
        return self.size


def read(path: Path) -> schema.ModelT:
    """Maps a model file into memory; raises UserError where it is missing, truncated or no TensorFlow Lite file."""
    try:
        data = _mapped(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it") from None
    except ValueError:  # an empty file cannot be mapped
        raise UserError(f"{path} is empty; delete it and run `dvc repro`") from None
    try:
        return parse(data)
    except (ValueError, IndexError, TypeError, AttributeError, OverflowError, struct.error) as error:
        # The generated reader meets damage as any of these, wherever an offset points to nothing.
        raise UserError(
            f"{path} is not a whole TensorFlow Lite file ({len(data)} bytes: {error}); delete it and run `dvc repro`"
        ) from None


def check(path: Path) -> None:
    """Raises UserError as `read` does; of a file that was whole nothing is read again until it changes."""
    state = path.stat() if path.exists() else None
    _check(path, state and (state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size))


@functools.lru_cache
def _check(path: Path, _: tuple[int, ...] | None) -> None:
    read(path)


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def parse(data: bytes | mmap.mmap) -> schema.ModelT:
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
    packed = schema.Model.GetRootAs(_mapped(path), 0)
    return all(packed.Buffers(i).Offset() <= 1 for i in range(packed.BuffersLength()))


def write(model: schema.ModelT, path: Path) -> None:
    """Writes a model file, whole or not at all, one buffer after the other."""
    with replacing_file(path) as file:
        for piece in pieces(model):
            file.write(piece)


def serialize(model: schema.ModelT) -> bytes:
    """The bytes that `write` writes."""
    return b"".join(pieces(model))


def pieces(model: schema.ModelT) -> Iterator[bytes | memoryview]:
    """A model's bytes in order.

    Buffers are inside the flatbuffer, the only form that TFLite before 2.13 reads, as long as it can hold them (2 GB);
    beyond that they lie behind it, by offset.
    """
    sizes = [0 if b.data is None else len(b.data) for b in model.buffers]
    tables = _pack_without_contents(model, sizes)
    yield memoryview(tables)
    end = len(tables)
    for buffer, size in zip(model.buffers, sizes, strict=True):
        if size:
            start = _content_start(end)
            yield b"\0" * (start - end - 4) + struct.pack("<I", size)
            content = buffer.data.make() if isinstance(buffer.data, Deferred) else buffer.data
            data = np.ascontiguousarray(content).reshape(-1).view(np.uint8).data
            if len(data) != size:
                raise ValueError(f"a buffer was made with {len(data)} bytes, not {size}")
            yield data
            end = start + size


def _content_start(end: int) -> int:
    """Where the next content begins: aligned, with room for a vector's length before it."""
    return -(-(end + 4) // _ALIGNMENT) * _ALIGNMENT


def _pack_without_contents(model: schema.ModelT, sizes: list[int]) -> bytearray:
    """The flatbuffer less the buffers' contents, with their places behind it noted."""
    inline = sum(sizes) + _ALIGNMENT * len(sizes) < _INLINE_LIMIT
    hollow = copy.copy(model)
    hollow.buffers = [_hollow(size, inline) for size in sizes]
    hollow.subgraphs = _with_shared_scales(model.subgraphs)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(hollow.Pack(builder), file_identifier=_IDENTIFIER)
    packed = bytearray(builder.Output())
    root, end = schema.Model.GetRootAs(packed, 0), len(packed)
    for index, size in enumerate(sizes):
        if not size:
            continue
        start = _content_start(end)
        table = root.Buffers(index)._tab
        if inline:  # a vector begins with its length; an offset counts from its own place
            place = table.Pos + table.Offset(_DATA)
            struct.pack_into("<I", packed, place, start - 4 - place)
        else:
            struct.pack_into("<Q", packed, table.Pos + table.Offset(_OFFSET), start)
            struct.pack_into("<Q", packed, table.Pos + table.Offset(_SIZE), size)
        end = start + size
    return packed


class _Once:
    """An object of the schema that is written once, however many others name it."""

    def __init__(self, content: Any) -> None:
        self._content, self._place = content, 0

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 (the schema's name)
        if not self._place:
            self._place = self._content.Pack(builder)
        return self._place


def _with_shared_scales(subgraphs: list[schema.SubGraphT]) -> list[schema.SubGraphT]:
    """Subgraphs whose tensors share equal quantizations: each signature repeats 12 bytes for every row of a weight."""
    shared: dict[object, _Once] = {}
    copies = [copy.copy(s) for s in subgraphs]
    for subgraph in copies:
        subgraph.tensors = [copy.copy(t) for t in subgraph.tensors]
        for tensor in subgraph.tensors:
            scales = tensor.quantization
            if scales is not None and scales.scale is not None and scales.details is None:
                arrays = (scales.scale, scales.zeroPoint, scales.min, scales.max)
                key = (*(None if a is None else bytes(np.asarray(a)) for a in arrays), scales.quantizedDimension)
                tensor.quantization = shared.setdefault(key, _Once(scales))
    return copies


def _hollow(size: int, inline: bool) -> schema.BufferT:
    """A buffer whose table has the fields to be filled in: a field that holds its default is not stored."""
    buffer = schema.BufferT()
    if size and inline:
        buffer.data = np.zeros(1, np.uint8)
    elif size:
        buffer.offset = buffer.size = 2
    return buffer
