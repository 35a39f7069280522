"""Reads GGUF files (llama.cpp's format), versions 2 and 3: the metadata, and the weights.

Source of the format: docs/gguf.md of ggml. gguf's own GGUFReader is not used: it trusts every length in the file, and
makes an array of each element. This reader checks every length, count and offset against the file before it uses it.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import gguf
import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject, one_line

_HEADER_LIMIT = 1 << 26  # bytes before the weights; a vocabulary of 262144 tokens takes 8 MiB of them
# gguf_type of ggml: the format character of `struct` for each type of number; types 8 and 9 are text and array.
_NUMBER_FORMATS, _TEXT, _ARRAY = "BbHhIif?--Qqd", 8, 9
_TYPE_NAMES: Mapping[type, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    list: "an array of texts",
    np.ndarray: "an array of numbers",
}
_REQUIRED: Any = object()


@dataclass(frozen=True)
class Metadata:
    """The keys and values of a GGUF file; an array of texts is a list, an array of numbers is a NumPy array."""

    path: Path
    values: Mapping[str, Any]

    def get(self, key: str, kind: type, default: Any = _REQUIRED) -> Any:
        """The value of a key, of the type `kind`; a whole number is also a `float`.

        Raises:
          UserError: if the value is of another type, or the key is missing and there is no default.
        """
        if key not in self.values:
            if default is _REQUIRED:
                raise UserError(f"{self.path} has no {key}; allowed: {_TYPE_NAMES[kind]}; convert the model anew")
            return default
        value = self.values[key]
        kinds = (int, float) if kind is float else kind
        if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
            raise UserError(f"{self.path}: {key} is {shown(value)}; allowed: {_TYPE_NAMES[kind]}")
        return value

    def above_zero(self, key: str, kind: type, default: Any = _REQUIRED) -> Any:
        """A finite number above zero, of the type `kind`; raises UserError like `get`, and for any other number."""
        value = self.get(key, kind, default)
        if key in self.values and not (math.isfinite(value) and value > 0):
            raise UserError(f"{self.path}: {key} is {value}; allowed: a finite number above 0")
        return value


def shown(value: Any) -> str:
    """A value of a GGUF file in one short line, for error messages."""
    if isinstance(value, list | np.ndarray):
        return f"an array of {len(value)} values"
    text = repr(value)
    return text if len(text) < 80 else f"{text[:76]} …"


@dataclass(frozen=True)
class TensorInfo:
    """The header entry of a weight.

    Attributes:
      shape: its shape; the last axis is contiguous.
      kind: the type of its elements.
      offset: the bytes before it in the file.
    """

    shape: tuple[int, ...]
    kind: gguf.GGMLQuantizationType
    offset: int

    @property
    def byte_shape(self) -> tuple[int, ...]:
        """The shape of the weight as an array of bytes."""
        return tuple(gguf.quant_shape_to_byte_shape(self.shape, self.kind))


def read_header(path: Path) -> tuple[Metadata, dict[str, TensorInfo]]:
    """The metadata of a GGUF file and its tensors by name; all tensors lie within the file.

    Raises:
      UserError: for a file that is not GGUF, of another version, big-endian, truncated or damaged, and for tensors of a
        type that gguf cannot dequantize.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = _HeaderReader(path, file.read(min(size, _HEADER_LIMIT)))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); allowed: a GGUF file") from None
    if header.data[:4] != b"GGUF":
        raise UserError(f"{path} does not begin with GGUF; allowed: a GGUF file")
    version, tensor_count, key_count = struct.unpack("<IQQ", header.take(24)[4:])
    if version not in (2, 3):
        kind = "big-endian" if version & 0xFFFF == 0 else f"of version {version}"
        raise UserError(f"{path} is {kind}; allowed: little-endian GGUF of version 2 or 3; convert the model anew")
    if 13 * key_count + 32 * tensor_count > len(header.data):  # the smallest size of each entry
        raise header.damaged(
            f"it says that it has {key_count} keys and {tensor_count} tensors, in {len(header.data)} bytes"
        )
    values: JsonObject = {}
    tensors: dict[str, TensorInfo] = {}
    for _ in range(key_count):
        name = header.new_name(values)
        values[name] = header.value(header.number("I"))
    for _ in range(tensor_count):
        name = header.new_name(tensors)
        tensors[name] = header.tensor_info(name)
    metadata = Metadata(path, values)
    return metadata, _with_file_offsets(header, metadata, tensors, size)


def _with_file_offsets(
    header: "_HeaderReader", metadata: Metadata, tensors: Mapping[str, TensorInfo], file_size: int
) -> dict[str, TensorInfo]:
    """Tensors with their offsets from the beginning of the file, where the header counts from its own end."""
    alignment = metadata.above_zero("general.alignment", int, 32)
    data_offset = -(-header.position // alignment) * alignment
    for name, tensor in tensors.items():
        end = data_offset + tensor.offset + math.prod(tensor.byte_shape)
        if tensor.offset % alignment:
            raise header.damaged(f"tensor {shown(name)} is not aligned to {alignment} bytes")
        if end > file_size:
            raise header.damaged(f"tensor {shown(name)} ends at byte {end} of {file_size}")
    return {name: replace(tensor, offset=data_offset + tensor.offset) for name, tensor in tensors.items()}


def read_tensor(file: BinaryIO, name: str, tensor: TensorInfo) -> Array:
    """Reads and dequantizes one tensor, as float32.

    Raises:
      UserError: if the file has become shorter, gguf cannot dequantize the tensor, or its numbers are not finite.
    """
    try:
        file.seek(tensor.offset)
        raw = np.fromfile(file, np.uint8, math.prod(tensor.byte_shape)).reshape(tensor.byte_shape)
        with np.errstate(all="ignore"):
            values = np.asarray(gguf.dequantize(raw, tensor.kind), np.float32).reshape(tensor.shape)
    except Exception as error:  # gguf and NumPy raise exceptions of any type; the user needs one line
        raise UserError(f"{file.name}: tensor {name} cannot be read: {one_line(error, 120)}") from None
    if not np.isfinite(values).all():
        raise UserError(f"{file.name}: tensor {name} holds numbers that are not finite; download it again")
    return values


class _HeaderReader:
    """Reads values from the beginning of a file, which may be truncated, and in which any length may be wrong."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data, self.position = path, data, 0

    def damaged(self, what: str) -> UserError:
        return UserError(f"{self.path} is cut off or damaged: {what}; download it again")

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.position:
            raise self.damaged(f"at byte {self.position} of {len(self.data)} begins something of {size} bytes")
        self.position += size
        return self.data[self.position - size : self.position]

    def number(self, form: str) -> Any:
        """A number in a format of `struct`; a float32 becomes the shortest decimal that it stands for."""
        (value,) = struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))
        return float(str(np.float32(value))) if form == "f" else value  # 1e-05, not 9.99999975e-06

    def text(self) -> str:
        try:
            return self.take(self.number("Q")).decode()
        except UnicodeDecodeError:
            raise self.damaged(f"the text before byte {self.position} is not UTF-8") from None

    def new_name(self, names: Mapping[str, Any]) -> str:
        """A name that is not among `names`."""
        name = self.text()
        if name in names:
            raise self.damaged(f"{shown(name)} is there twice")
        return name

    def value(self, kind: int) -> Any:
        if kind == _ARRAY:
            return self.array(self.number("I"), self.number("Q"))
        return self.text() if kind == _TEXT else self.number(self.number_format(kind))

    def array(self, kind: int, count: int) -> list[str] | Array:
        if kind != _TEXT:
            form = f"<{self.number_format(kind)}"
            return np.frombuffer(self.take(count * struct.calcsize(form)), form)
        if 8 * count > len(self.data) - self.position:
            raise self.damaged(f"at byte {self.position} of {len(self.data)} begins an array of {count} texts")
        return [self.text() for _ in range(count)]

    def number_format(self, kind: int) -> str:
        if kind >= len(_NUMBER_FORMATS) or _NUMBER_FORMATS[kind] == "-":
            raise self.damaged(
                f"the value before byte {self.position} is of the type {kind}; GGUF has 0 to 12, in an array 9 not"
            )
        return _NUMBER_FORMATS[kind]

    def tensor_info(self, name: str) -> TensorInfo:
        """Shape, type and offset of a tensor; the offset counts from the end of the header."""
        axes = self.number("I")
        if not 1 <= axes <= 4:
            raise self.damaged(f"tensor {shown(name)} has {axes} dimensions; GGUF's have 1 to 4")
        shape = tuple(self.number("Q") for _ in range(axes))[::-1]
        kind, offset = self.tensor_kind(name, self.number("I")), self.number("Q")
        if 0 in shape or shape[-1] % gguf.GGML_QUANT_SIZES[kind][0]:
            raise self.damaged(f"tensor {shown(name)} of the type {kind.name} has the shape {shape}")
        return TensorInfo(shape, kind, offset)

    def tensor_kind(self, name: str, number: int) -> gguf.GGMLQuantizationType:
        """The type of a tensor's elements, by its number; gguf can dequantize it."""
        kind = next((kind for kind in gguf.GGMLQuantizationType if kind.value == number), None)
        try:
            gguf.dequantize(np.zeros((1, gguf.GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
        except (KeyError, NotImplementedError):
            type_name = kind.name if kind else number
            raise UserError(
                f"{self.path}: tensor {shown(name)} is of the type {type_name}; allowed: those that gguf dequantizes, "
                "such as F16, BF16, Q8_0, Q4_K"
            ) from None
        return kind
