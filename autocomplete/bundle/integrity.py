"""SHA256SUMS: a bundle's files and their hashes, in the form that `sha256sum --check` reads."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from autocomplete.common.errors import UserError
from autocomplete.common.files import sha256, write_bytes

FILE = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"
_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*)")


def write(folder: Path, hashes: Mapping[str, str] | None = None) -> None:
    """Writes the hashes of all files below a folder, sorted by path; `hashes` has those that are computed already."""
    lines = (f"{(hashes or {}).get(name) or sha256(folder / name)}  {name}\n" for name in _names(folder))
    write_bytes(folder / FILE, "".join(lines).encode())


def parse(content: bytes) -> dict[str, str]:
    """The hashes by path of a SHA256SUMS, which may come from anywhere.

    Raises:
      UserError: where a line is not `<hash>  <path>`, a path occurs twice, is absolute or leaves the folder.
    """
    lines = content.decode("ascii", errors="replace").split("\n")
    if lines.pop() != "":
        raise UserError(f"{FILE} does not end with a line's end: it was cut off or changed")
    hashes: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None or ".." in PurePosixPath(match[2]).parts:
            raise UserError(f"{FILE}:{number} is not `<sha256>  <path below the folder>`: it was changed")
        if match[2] in hashes:
            raise UserError(f"{FILE}:{number} names {match[2]} a second time")
        hashes[match[2]] = match[1]
    if not hashes:
        raise UserError(f"{FILE} names no file")
    return hashes


def check(folder: Path) -> dict[str, str]:
    """Checks that SHA256SUMS lists every file of a folder with its hash; returns the hashes by path.

    Raises:
      UserError: naming the first file that is missing, not listed, or of another content.
    """
    path = folder / FILE
    if not path.is_file():
        raise UserError(f"{path} is missing: this is no bundle, or not all of it was copied")
    listed, existing = parse(path.read_bytes()), set(_names(folder))
    for name in sorted(set(listed) - existing):
        raise UserError(f"{folder / name} is missing: fetch the bundle again")
    for name in sorted(existing - set(listed)):
        raise UserError(f"{folder / name} is not listed in {FILE}: {_advice(name, listed)}")
    for name, expected in listed.items():
        if sha256(folder / name) != expected:
            raise UserError(f"{folder / name} is damaged or was changed (SHA-256 differs): fetch the bundle again")
    return listed


def _advice(name: str, listed: Mapping[str, str]) -> str:
    """What an unlisted file is, judging by its name, and what to do.

    LiteRT-LM reads its weight cache instead of the model's weights, so nobody can trust a cache that is not checked.
    """
    model, cache, _ = name.partition(".litertlm_")
    if cache and f"{model}.litertlm" in listed:
        return "by its name a weight cache that LiteRT-LM wrote there; delete it, and give the engine another cache_dir"
    return "it does not belong to the bundle"


def _names(folder: Path) -> list[str]:
    """The files of a bundle, without this list and its signature; a link counts as a file, wherever it points."""
    paths = (p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())
    return sorted(n for p in paths if (n := p.relative_to(folder).as_posix()) not in (FILE, SIGNATURE))
