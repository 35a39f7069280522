"""Downloads a bundle's files, and never more bytes than the bundle itself declares."""

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

_TIMEOUT_S = (10, 60)  # to connect; between two chunks
_SMALL_FILE_BYTES = 1 << 22  # the limit for SHA256SUMS, a signature, a manifest or an index
_CHUNK_BYTES = 1 << 20


class MissingFileError(UserError):
    """A source has no such file."""


@dataclass(frozen=True)
class FileSource:
    """Where files are downloaded from.

    Attributes:
      name: the source's name in messages, without credentials.
      chunks: yields the bytes of a file by its path, chunk by chunk; raises MissingFileError where there is none.
    """

    name: str
    chunks: Callable[[str], Iterator[bytes]]


def http_source(url: str) -> FileSource:
    """Returns the files below an HTTP(S) address; credentials come from ~/.netrc."""
    base = url.rstrip("/")
    return FileSource(without_credentials(base), partial(_http_chunks, base))


def without_credentials(url: str) -> str:
    """Returns an address without user name and password, for messages."""
    return re.sub(r"(https?://)[^/@]*@", r"\1", url)


def fetch(source: FileSource, folder: Path) -> None:
    """Downloads a bundle into an empty folder.

    Raises:
      UserError: where the source does not answer, lacks a file, or sends more than the manifest says.
    """
    fetch_files(source, folder, fetch_manifest(source, folder))


def fetch_manifest(source: FileSource, folder: Path) -> dict[str, int]:
    """Downloads SHA256SUMS, its signature and the manifest; returns the sizes of all other files.

    Raises:
      UserError: as `fetch`, and where SHA256SUMS and the manifest do not agree.
    """
    write_bytes(folder / integrity.FILE, read_small(source, integrity.FILE))
    with contextlib.suppress(MissingFileError):
        write_bytes(folder / integrity.SIGNATURE, read_small(source, integrity.SIGNATURE))
    hashes = integrity.parse((folder / integrity.FILE).read_bytes())
    if manifest.FILE not in hashes:
        raise UserError(f"{source.name}/{integrity.FILE} lists no {manifest.FILE}: no bundle of this project")
    write_bytes(folder / manifest.FILE, read_small(source, manifest.FILE))
    if sha256(folder / manifest.FILE) != hashes[manifest.FILE]:  # before its sizes are trusted
        raise UserError(f"{source.name}/{manifest.FILE} is damaged or was changed (SHA-256 differs)")
    files = Manifest.read(folder / manifest.FILE).files
    for name in sorted(hashes.keys() - files.keys() - {manifest.FILE}):
        raise UserError(f"{source.name}/{integrity.FILE} lists {name}, {manifest.FILE} does not")
    return {name: files[name].bytes for name in sorted(hashes.keys() - {manifest.FILE})}


def fetch_files(source: FileSource, folder: Path, sizes: Mapping[str, int]) -> None:
    """Downloads files: name → size in bytes, which is the most that is read."""
    done = 0
    with progress_bar("download", sum(sizes.values())) as show:
        for name, size in sizes.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("wb") as file:
                for chunk in _limited_chunks(source, name, size):
                    file.write(chunk)
                    done += len(chunk)
                    show(done, name)


def read_small(source: FileSource, name: str) -> bytes:
    """Downloads a file of at most 4 MiB and returns its bytes."""
    return b"".join(_limited_chunks(source, name, _SMALL_FILE_BYTES))


def _limited_chunks(source: FileSource, name: str, limit: int) -> Iterator[bytes]:
    received = 0
    for chunk in source.chunks(name):
        received += len(chunk)
        if received > limit:
            raise UserError(f"{source.name}/{name} sends more than the {limit:,} bytes that it should have")
        yield chunk


def _http_chunks(base: str, name: str) -> Iterator[bytes]:
    url = f"{base}/{name}"
    shown_url = without_credentials(url)
    try:
        with requests.get(url, stream=True, timeout=_TIMEOUT_S) as response:
            answer = f"{shown_url} answers {response.status_code} {response.reason}"
            if response.status_code == requests.codes.not_found:
                raise MissingFileError(f"{answer}; is this a bundle's address?")
            if response.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
                raise UserError(f"{answer}: put a login that may read it into ~/.netrc, or ask the model team for one")
            if not response.ok:
                raise UserError(f"{answer}: check the address, or try again later")
            yield from response.iter_content(_CHUNK_BYTES)
    except requests.RequestException as error:
        raise UserError(f"{shown_url} cannot be read ({chain(error)[-1]}): check address and network") from error
