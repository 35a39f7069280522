"""Damaged GGUF files are refused before memory is allocated for the lengths that they declare."""

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from autocomplete.common.errors import UserError
from autocomplete.presets import gguf_model
from helpers import ggufs
from helpers.gguf_changes import refused


def text(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(content) if length is None else length) + content


def start(version: int = 3, tensors: int = 0, keys: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys)


def number(key: bytes, value: int, kind: int = 4) -> bytes:
    return text(key) + struct.pack("<II", kind, value)


def array(kind: int, count: int, content: bytes = b"") -> bytes:
    return text(b"k") + struct.pack("<IIQ", 9, kind, count) + content


def tensor_info(axes: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0, dimensions: int | None = None) -> bytes:
    count = len(axes) if dimensions is None else dimensions
    return text(b"t") + struct.pack(f"<I{len(axes)}QIQ", count, *axes, kind, offset) + bytes(200)


HUGE = 1 << 62
DAMAGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", r"does not begin with GGUF; allowed: a GGUF file"),
    "other": (b"PK\x03\x04 and so on", r"does not begin with GGUF"),
    "magic alone": (b"GGUF", r"is cut off or damaged: at byte 0 of 4 begins something of 24 bytes"),
    "version 1": (start(1), r"is of version 1; allowed: little-endian GGUF of version 2 or 3"),
    "version 9": (start(9), r"is of version 9; allowed"),
    "big-endian": (start(3 << 24), r"is big-endian; allowed: little-endian GGUF"),
    "no keys": (start(), r"has no general\.architecture; allowed: a text"),
    "keys": (start(keys=HUGE), r"it says that it has 4611686018427387904 keys and 0 tensors, in 24 bytes; download"),
    "tensors": (start(tensors=HUGE) + bytes(50), r"it says that it has 0 keys and 4611686018427387904 tensors"),
    "key": (start(keys=1) + text(b"k" * 9, HUGE), r"at byte 32 of 41 begins something of 4611686018427387904 bytes"),
    "text": (start(keys=1) + text(b"k") + struct.pack("<I", 8) + text(b"", HUGE), r"at byte 45 of 45 begins something"),
    "UTF-8": (start(keys=1) + text(b"\xff" * 9), r"the text before byte 41 is not UTF-8; download it again"),
    "type": (start(keys=1) + number(b"k", 1, 99), r"the value before byte 37 is of the type 99; GGUF has 0 to 12"),
    "no type": (start(keys=1) + number(b"k", 1, 0xFFFFFFFF), r"is of the type 4294967295; GGUF has 0 to 12"),
    "number": (start(keys=1) + text(b"kk") + b"\x04\0\0\0", r"at byte 38 of 38 begins something of 4 bytes"),
    "array": (start(keys=1) + array(4, HUGE), r"at byte 49 of 49 begins something of 18446744073709551616 bytes"),
    "texts": (start(keys=1) + array(8, HUGE), r"at byte 49 of 49 begins an array of 4611686018427387904 texts"),
    "arrays": (start(keys=1) + array(9, 1, bytes(20)), r"the value before byte 49 is of the type 9; .*, in an array 9"),
    "elements": (start(keys=1) + array(77, 1, bytes(20)), r"the value before byte 49 is of the type 77"),
    "key twice": (start(keys=2) + number(b"k", 1) * 2, r"'k' is there twice; download it again"),
    "line ends": (start(keys=2) + number(b"a\n" * 99, 1) * 2, r"'a\\na\\n.* … is there twice"),
    "tensor twice": (start(tensors=2) + tensor_info()[:-200] * 2 + bytes(200), r"'t' is there twice"),
    "dimensions": (start(tensors=1) + tensor_info(dimensions=5), r"tensor 't' has 5 dimensions; GGUF's have 1 to 4"),
    "many dimensions": (start(tensors=1) + tensor_info(dimensions=0xFFFFFFFF), r"tensor 't' has 4294967295 dimensions"),
    "no dimension": (start(tensors=1) + tensor_info(()), r"tensor 't' has 0 dimensions; GGUF's have 1 to 4"),
    "no rows": (start(tensors=1) + tensor_info((32, 0)), r"tensor 't' of the type F32 has the shape \(0, 32\)"),
    "rows": (start(tensors=1) + tensor_info((HUGE, HUGE)), r"tensor 't' ends at byte 8507\d+ of "),
    "width": (start(tensors=1) + tensor_info((31,), kind=8), r"tensor 't' of the type Q8_0 has the shape \(31,\)"),
    "kind": (start(tensors=1) + tensor_info(kind=999), r"tensor 't' is of the type 999; allowed: those that gguf"),
    "old kind": (start(tensors=1) + tensor_info(kind=4), r"tensor 't' is of the type 4; allowed: those that gguf"),
    "offset": (start(tensors=1) + tensor_info(offset=HUGE), r"tensor 't' ends at byte 4611686018427388\d+ of 2"),
    "alignment": (start(tensors=1) + tensor_info(offset=8), r"tensor 't' is not aligned to 32 bytes"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused_before_memory_is_allocated(name: str, tmp_path: Path) -> None:
    content, message = DAMAGED[name]
    path = tmp_path / "damaged.gguf"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        refused(path, message)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, r"cannot be read \(Is a directory\); allowed: a GGUF file")
    refused(tmp_path / "none.gguf", r"cannot be read \(No such file or directory\)")


def test_a_truncated_file_is_refused_at_any_length(tmp_path: Path) -> None:
    data = ggufs.file().write(tmp_path / "toy.gguf").read_bytes()
    path = tmp_path / "cut.gguf"
    for size in (*range(0, len(data), 1009), len(data) - 1):
        path.write_bytes(data[:size])
        refused(path, r"is cut off or damaged: .*; download it again|does not begin with GGUF")


def test_changed_bytes_raise_no_other_error(tmp_path: Path) -> None:
    data = ggufs.file().write(tmp_path / "toy.gguf").read_bytes()
    random, path, accepted = np.random.default_rng(5), tmp_path / "changed.gguf", 0
    header = data.index(b"output_norm.weight")
    for _ in range(300):
        content = bytearray(data)
        for position in random.integers(4, header + 2000, 3):
            content[position] = random.integers(256)
        path.write_bytes(content)
        try:
            checkpoint = gguf_model.read(path)
            accepted += 1
        except UserError as error:
            assert "\n" not in str(error)
            continue
        with checkpoint.open() as tensors:
            assert all(np.asarray(tensors.get_tensor(name)).dtype == np.float32 for name in tensors.names)
    assert 0 < accepted < 300


def test_a_file_that_shrinks_after_it_was_read_is_refused(tmp_path: Path) -> None:
    path = ggufs.file().write(tmp_path / "toy.gguf")
    checkpoint = gguf_model.read(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with checkpoint.open() as tensors, pytest.raises(UserError, match=r"tensor blk\.\S+ cannot be read: "):
        for name in sorted(tensors.names):
            tensors.get_tensor(name)
    path.unlink()
    with pytest.raises(UserError, match="can no longer be read"), checkpoint.open():
        pass
