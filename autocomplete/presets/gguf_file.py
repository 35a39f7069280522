"""GGUF, llama.cpp's file format, versions 2 and 3: metadata, and where the weights are.

The format is that of ggml's docs/gguf.md. The file is read here and not by gguf's GGUFReader, which trusts every length
and makes an array of each element. No length, count or offset is used before it is known to lie within the file.
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

_LONGEST = 1 << 26  # bytes before the weights; a vocabulary of 262144 tokens takes 8 MiB of them
_NUMBERS, _TEXT, _ARRAY = "BbHhIif?--Qqd", 8, 9  # gguf_type of ggml: a number's format of `struct` by its place
_WANTED: Mapping[type, str] = {
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
    """The keys and values of a GGUF file; arrays of texts are lists, arrays of numbers are NumPy's."""

    path: Path
    values: Mapping[str, Any]

    def get(self, key: str, kind: type, default: Any = _REQUIRED) -> Any:
        """The value of a key, of the type `kind`; a whole number is a `float` too.

        Raises:
          UserError: where the value is of another type, or the key is missing and there is no default.
        """
        if key not in self.values:
            if default is _REQUIRED:
                raise UserError(f"{self.path} has no {key}; allowed: {_WANTED[kind]}; convert the model anew")
            return default
        found = self.values[key]
        kinds = (int, float) if kind is float else kind
        if not isinstance(found, kinds) or (isinstance(found, bool) and kind is not bool):
            raise UserError(f"{self.path}: {key} is {shown(found)}; allowed: {_WANTED[kind]}")
        return found

    def above_zero(self, key: str, kind: type, default: Any = _REQUIRED) -> Any:
        """A finite number above zero, of the type `kind`; raises UserError as `get` does, and for another number."""
        found = self.get(key, kind, default)
        if key in self.values and not (math.isfinite(found) and found > 0):
            raise UserError(f"{self.path}: {key} is {found}; allowed: a finite number above 0")
        return found


def shown(value: Any) -> str:
    """A value of a file in one short line."""
    if isinstance(value, list | np.ndarray):
        return f"an array of {len(value)} values"
    text = repr(value)
    return text if len(text) < 80 else f"{text[:76]} …"


@dataclass(frozen=True)
class Tensor:
    """Where a weight is: its shape, the last axis that of a row, its type, and the bytes before it in the file."""

    shape: tuple[int, ...]
    kind: gguf.GGMLQuantizationType
    offset: int

    @property
    def byte_shape(self) -> tuple[int, ...]:
        """The shape of its bytes."""
        return tuple(gguf.quant_shape_to_byte_shape(self.shape, self.kind))


def read_header(path: Path) -> tuple[Metadata, dict[str, Tensor]]:
    """The metadata of a GGUF file and its tensors by name, all of which lie within the file.

    Raises:
      UserError: for what is no GGUF file, of another version, big-endian, cut off or damaged, and for tensors of a type
        that gguf does not dequantize.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = _Header(path, file.read(min(size, _LONGEST)))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); allowed: a GGUF file") from None
    if header.data[:4] != b"GGUF":
        raise UserError(f"{path} does not begin with GGUF; allowed: a GGUF file")
    version, tensors, keys = struct.unpack("<IQQ", header.take(24)[4:])
    if version not in (2, 3):
        kind = "big-endian" if version & 0xFFFF == 0 else f"of version {version}"
        raise UserError(f"{path} is {kind}; allowed: little-endian GGUF of version 2 or 3; convert the model anew")
    if 13 * keys + 32 * tensors > len(header.data):  # the fewest bytes of each
        raise header.damaged(f"it says that it has {keys} keys and {tensors} tensors, in {len(header.data)} bytes")
    values: dict[str, Any] = {}
    places: dict[str, Tensor] = {}
    for _ in range(keys):
        name = header.name(values)
        values[name] = header.value(header.number("I"))
    for _ in range(tensors):
        name = header.name(places)
        places[name] = header.tensor(name)
    metadata = Metadata(path, values)
    return metadata, _placed(header, metadata, places, size)


def _placed(header: "_Header", metadata: Metadata, places: Mapping[str, Tensor], size: int) -> dict[str, Tensor]:
    """The tensors with offsets from the beginning of a file of so many bytes."""
    unit = metadata.above_zero("general.alignment", int, 32)
    begin = -(-header.at // unit) * unit
    for name, place in places.items():
        end = begin + place.offset + math.prod(place.byte_shape)
        if place.offset % unit:
            raise header.damaged(f"tensor {shown(name)} is not aligned to {unit} bytes")
        if end > size:
            raise header.damaged(f"tensor {shown(name)} ends at byte {end} of {size}")
    return {name: replace(place, offset=begin + place.offset) for name, place in places.items()}


def dequantized(file: BinaryIO, name: str, tensor: Tensor) -> Array:
    """One tensor in float32; the file is as it was when its metadata were read.

    Raises:
      UserError: where the file has fewer bytes by now, gguf cannot do it, or numbers are not finite.
    """
    try:
        file.seek(tensor.offset)
        raw = np.fromfile(file, np.uint8, math.prod(tensor.byte_shape)).reshape(tensor.byte_shape)
        with np.errstate(all="ignore"):
            values = np.asarray(gguf.dequantize(raw, tensor.kind), np.float32).reshape(tensor.shape)
    except Exception as error:  # gguf and NumPy raise whatever they like; the user needs one line
        raise UserError(f"{file.name}: tensor {name} cannot be read: {' '.join(str(error).split())[:120]}") from None
    if not np.isfinite(values).all():
        raise UserError(f"{file.name}: tensor {name} holds numbers that are not finite; download it again")
    return values


class _Header:
    """Takes values off the beginning of a file, which may be cut off and whose lengths may be anything."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data, self.at = path, data, 0

    def damaged(self, what: str) -> UserError:
        return UserError(f"{self.path} is cut off or damaged: {what}; download it again")

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise self.damaged(f"at byte {self.at} of {len(self.data)} begins something of {size} bytes")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form: str) -> Any:
        (found,) = struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))
        return float(str(np.float32(found))) if form == "f" else found  # 1e-05, where float32 has 9.99999975e-06

    def text(self) -> str:
        try:
            return self.take(self.number("Q")).decode()
        except UnicodeDecodeError:
            raise self.damaged(f"the text before byte {self.at} is not UTF-8") from None

    def name(self, known: Mapping[str, Any]) -> str:
        found = self.text()
        if found in known:
            raise self.damaged(f"{shown(found)} is there twice")
        return found

    def value(self, kind: int) -> Any:
        if kind == _ARRAY:
            return self.array(self.number("I"), self.number("Q"))
        return self.text() if kind == _TEXT else self.number(self.form(kind))

    def array(self, kind: int, count: int) -> list[str] | Array:
        if kind != _TEXT:
            form = f"<{self.form(kind)}"
            return np.frombuffer(self.take(count * struct.calcsize(form)), form)
        if 8 * count > len(self.data) - self.at:
            raise self.damaged(f"at byte {self.at} of {len(self.data)} begins an array of {count} texts")
        return [self.text() for _ in range(count)]

    def form(self, kind: int) -> str:
        if kind >= len(_NUMBERS) or _NUMBERS[kind] == "-":
            raise self.damaged(
                f"the value before byte {self.at} is of the type {kind}; GGUF has 0 to 12, in an array 9 not"
            )
        return _NUMBERS[kind]

    def tensor(self, name: str) -> Tensor:
        """Shape, type and offset of a tensor; the offset is one from the end of all of them."""
        axes = self.number("I")
        if not 1 <= axes <= 4:
            raise self.damaged(f"tensor {shown(name)} has {axes} dimensions; GGUF's have 1 to 4")
        shape = tuple(self.number("Q") for _ in range(axes))[::-1]
        kind, offset = self.kind(name, self.number("I")), self.number("Q")
        if 0 in shape or shape[-1] % gguf.GGML_QUANT_SIZES[kind][0]:
            raise self.damaged(f"tensor {shown(name)} of the type {kind.name} has the shape {shape}")
        return Tensor(shape, kind, offset)

    def kind(self, name: str, number: int) -> gguf.GGMLQuantizationType:
        """The type of a tensor's elements, one that gguf can dequantize."""
        found = next((kind for kind in gguf.GGMLQuantizationType if kind.value == number), None)
        try:
            gguf.dequantize(np.zeros((1, gguf.GGML_QUANT_SIZES[found][1]), np.uint8), found)
        except (KeyError, NotImplementedError):
            kind = found.name if found else number
            raise UserError(
                f"{self.path}: tensor {shown(name)} is of the type {kind}; allowed: those that gguf dequantizes, such "
                "as F16, BF16, Q8_0, Q4_K"
            ) from None
        return found
