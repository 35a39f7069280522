"""Reads and writes .tflite files as objects of the official schema, wherever their buffers are stored."""

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
# The reach of a 32-bit offset of the format, with some room for the model's own tables.
_INLINE_LIMIT = 2**31 - 2**24
# A buffer's fields in its table, by the schema.
_DATA, _OFFSET, _SIZE = 4, 6, 8


@dataclass(frozen=True)
class Deferred:
    """A buffer whose content is made when the file is written, so that memory never holds all weights.

    Attributes:
      size: bytes of the content.
      make: makes the content.
    """

    size: int
    make: Callable[[], Array]

    def __len__(self) -> int:
        return self.size


def read(path: Path) -> schema.ModelT:
    """Maps a model file into memory.

    Raises:
      UserError: if the file is missing, truncated or no TensorFlow Lite file.
    """
    try:
        data = _mapped(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it") from None
    except ValueError:  # an empty file cannot be mapped
        raise UserError(f"{path} is empty; delete it and run `dvc repro`") from None
    try:
        return parse(data)
    except (ValueError, IndexError, TypeError, AttributeError, OverflowError, struct.error) as error:
        # The generated reader raises any of these where an offset points outside the file.
        raise UserError(
            f"{path} is not a whole TensorFlow Lite file ({len(data)} bytes: {error}); delete it and run `dvc repro`"
        ) from None


def check_readable(path: Path) -> None:
    """Raises UserError as `read` does; a file that was read without an error is not read again until it changes."""
    state = path.stat() if path.exists() else None
    _read_once(path, state and (state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size))


@functools.lru_cache
def _read_once(path: Path, _: tuple[int, ...] | None) -> None:
    read(path)


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def parse(data: bytes | mmap.mmap) -> schema.ModelT:
    """The model in `data`; buffers stored by offset, as litert-quantizer stores them, become inline ones."""
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
    """Whether every buffer is inside the flatbuffer, the only form that TFLite before 2.13 reads."""
    packed = schema.Model.GetRootAs(_mapped(path), 0)
    return all(packed.Buffers(i).Offset() <= 1 for i in range(packed.BuffersLength()))


def write(model: schema.ModelT, path: Path) -> None:
    """Writes a model file buffer by buffer, whole or not at all."""
    with replacing_file(path) as file:
        for piece in pieces(model):
            file.write(piece)


def serialize(model: schema.ModelT) -> bytes:
    """The bytes that `write` writes."""
    return b"".join(pieces(model))


def pieces(model: schema.ModelT) -> Iterator[bytes | memoryview]:
    """The bytes of a model file, in order.

    Buffers are inside the flatbuffer, the only form that TFLite before 2.13 reads, while it can hold them (2 GB). The
    buffers of a larger model follow it, and are named by offset.
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
    """Where the next content begins: aligned, with 4 bytes before it for the length of a vector."""
    return -(-(end + 4) // _ALIGNMENT) * _ALIGNMENT


def _pack_without_contents(model: schema.ModelT, sizes: list[int]) -> bytearray:
    """The flatbuffer without the contents of buffers, which it expects behind it."""
    inline = sum(sizes) + _ALIGNMENT * len(sizes) < _INLINE_LIMIT
    empty = copy.copy(model)
    empty.buffers = [_buffer_without_content(size, inline) for size in sizes]
    empty.subgraphs = _with_shared_scales(model.subgraphs)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(empty.Pack(builder), file_identifier=_IDENTIFIER)
    packed = bytearray(builder.Output())
    root, end = schema.Model.GetRootAs(packed, 0), len(packed)
    for index, size in enumerate(sizes):
        if not size:
            continue
        start = _content_start(end)
        table = root.Buffers(index)._tab
        if inline:  # a vector begins with its length; an offset is relative to its own position
            position = table.Pos + table.Offset(_DATA)
            struct.pack_into("<I", packed, position, start - 4 - position)
        else:
            struct.pack_into("<Q", packed, table.Pos + table.Offset(_OFFSET), start)
            struct.pack_into("<Q", packed, table.Pos + table.Offset(_SIZE), size)
        end = start + size
    return packed


class _PackedOnce:
    """An object of the schema that is written once, however many others refer to it."""

    def __init__(self, content: Any) -> None:
        self._content, self._offset = content, 0

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 (the schema's name)
        if not self._offset:
            self._offset = self._content.Pack(builder)
        return self._offset


def _with_shared_scales(subgraphs: list[schema.SubGraphT]) -> list[schema.SubGraphT]:
    """Subgraphs whose tensors share equal quantizations; else each signature repeats 12 bytes for a row of a weight."""
    shared: dict[object, _PackedOnce] = {}
    copies = [copy.copy(s) for s in subgraphs]
    for subgraph in copies:
        subgraph.tensors = [copy.copy(t) for t in subgraph.tensors]
        for tensor in subgraph.tensors:
            scales = tensor.quantization
            if scales is not None and scales.scale is not None and scales.details is None:
                arrays = (scales.scale, scales.zeroPoint, scales.min, scales.max)
                key = (*(None if a is None else bytes(np.asarray(a)) for a in arrays), scales.quantizedDimension)
                tensor.quantization = shared.setdefault(key, _PackedOnce(scales))
    return copies


def _buffer_without_content(size: int, inline: bool) -> schema.BufferT:
    """A buffer whose table has the fields that are filled in later; a field with its default value is not stored."""
    buffer = schema.BufferT()
    if size and inline:
        buffer.data = np.zeros(1, np.uint8)
    elif size:
        buffer.offset = buffer.size = 2
    return buffer
