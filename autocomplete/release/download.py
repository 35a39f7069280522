"""A bundle's files from elsewhere, never more of them than the bundle itself declares."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import requests

from autocomplete.bundle import integrity, manifest
from autocomplete.bundle.contract import Manifest
from autocomplete.common.errors import UserError, chain
from autocomplete.common.files import sha256, write_bytes
from autocomplete.common.progress import progress_bar

_TIMEOUT_S = (10, 60)  # to connect, and between two parts
_SMALL = 1 << 22  # bytes that a list, a signature, a manifest or an index may have
_PART = 1 << 20


class MissingError(UserError):
    """There is no such file at a place."""


@dataclass(frozen=True)
class Place:
    """Where files lie.

    Attributes:
      name: what to call it, without credentials.
      parts: the bytes of a file by its path, piece by piece; raises MissingError where there is none.
    """

    name: str
    parts: Callable[[str], Iterator[bytes]]


def address(url: str) -> Place:
    """The place at an HTTP(S) address; who needs credentials has them in ~/.netrc."""
    base = url.rstrip("/")
    return Place(without_login(base), partial(_answer, base))


def without_login(url: str) -> str:
    """An address as it may be shown."""
    return re.sub(r"(https?://)[^/@]*@", r"\1", url)


def fetch(place: Place, folder: Path) -> None:
    """Downloads a bundle into an empty folder.

    Raises:
      UserError: where the place does not answer, lacks a file, or sends more than the manifest says.
    """
    files(place, folder, listing(place, folder))


def listing(place: Place, folder: Path) -> dict[str, int]:
    """Downloads what tells of a bundle: hashes, signature, manifest; returns the size of every other file."""
    write_bytes(folder / integrity.FILE, small(place, integrity.FILE))
    with contextlib.suppress(MissingError):
        write_bytes(folder / integrity.SIGNATURE, small(place, integrity.SIGNATURE))
    listed = integrity.parse((folder / integrity.FILE).read_bytes())
    if manifest.FILE not in listed:
        raise UserError(f"{place.name}/{integrity.FILE} lists no {manifest.FILE}: no bundle of this project")
    write_bytes(folder / manifest.FILE, small(place, manifest.FILE))
    if sha256(folder / manifest.FILE) != listed[manifest.FILE]:  # its sizes are trusted below
        raise UserError(f"{place.name}/{manifest.FILE} is damaged or was changed (SHA-256 differs)")
    described = Manifest.read(folder / manifest.FILE)
    sizes = {name: known.bytes for name, known in described.files.items()}
    for name in sorted(listed.keys() - sizes.keys() - {manifest.FILE}):
        raise UserError(f"{place.name}/{integrity.FILE} lists {name}, {manifest.FILE} does not")
    return {name: sizes[name] for name in sorted(listed.keys() - {manifest.FILE})}


def files(place: Place, folder: Path, sizes: Mapping[str, int]) -> None:
    """Downloads the files whose sizes are known."""
    done = 0
    with progress_bar("download", sum(sizes.values())) as show:
        for name, size in sizes.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("wb") as file:
                for part in _at_most(size, place, name):
                    file.write(part)
                    done += len(part)
                    show(done, name)


def small(place: Place, name: str) -> bytes:
    """A file of moderate size as a whole."""
    return b"".join(_at_most(_SMALL, place, name))


def _at_most(most: int, place: Place, name: str) -> Iterator[bytes]:
    got = 0
    for part in place.parts(name):
        got += len(part)
        if got > most:
            raise UserError(f"{place.name}/{name} sends more than the {most:,} bytes that it should have")
        yield part


def _answer(base: str, name: str) -> Iterator[bytes]:
    shown = without_login(f"{base}/{name}")
    try:
        with requests.get(f"{base}/{name}", stream=True, timeout=_TIMEOUT_S) as response:
            said = f"{shown} answers {response.status_code} {response.reason}"
            if response.status_code == requests.codes.not_found:
                raise MissingError(f"{said}; is this a bundle's address?")
            if response.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
                raise UserError(f"{said}: put a login that may read it into ~/.netrc, or ask the model team for one")
            if not response.ok:
                raise UserError(f"{said}: check the address, or try again later")
            yield from response.iter_content(_PART)
    except requests.RequestException as error:
        raise UserError(f"{shown} cannot be read ({chain(error)[-1]}): check address and network") from error
