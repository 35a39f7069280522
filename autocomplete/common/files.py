"""Writing files and folders whole or not at all; JSON, CSV and hashes."""

import contextlib
import csv
import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yields a temporary folder that takes the place of `folder` when the block ends without an error."""
    temporary, before = (folder.with_name(f".{folder.name}.{state}") for state in ("partial", "before"))
    _settle(folder, temporary, before)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if folder.exists():
            folder.replace(before)
        temporary.replace(folder)
    finally:
        _settle(folder, temporary, before)


def _settle(folder: Path, temporary: Path, before: Path) -> None:
    """Leaves the new folder or the old one, also after a killed process, and deletes the other two."""
    if before.exists() and not folder.exists():
        before.replace(folder)
    for leftover in (temporary, before):
        shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def replacing_file(path: Path) -> Iterator[BinaryIO]:
    """Yields a file of a temporary name that takes the place of `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file through a temporary name, so that a killed process leaves the old file or the new one."""
    with replacing_file(path) as file:
        file.write(data)


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Writes readable JSON whose bytes depend on the value alone."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> JsonObject:
    """Reads a JSON object; raises UserError where the file is missing or damaged."""
    try:
        value: JsonObject = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}); restore it or run `dvc repro`") from None
    return value


def csv_text(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as comma-separated values."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(rows)
    return text.getvalue()


def sha256(path: Path) -> str:
    """The SHA-256 of one file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_sha256(folder: Path, leave_out: Iterable[str] = ()) -> str:
    """The SHA-256 over the names and hashes of all files below a folder, without those to `leave_out`."""
    skipped = set(leave_out)
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    lines = (f"{sha256(folder / name)}  {name}\n" for name in names if name not in skipped)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
