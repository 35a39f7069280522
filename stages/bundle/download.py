"""A bundle's files from an HTTP(S) address, never more of them than the bundle itself declares."""

from pathlib import Path

import requests

from stages.bundle import checksums, manifest
from stages.errors import UserError
from stages.files import read_json, sha256
from stages.progress import progress_bar

_TIMEOUT_S = (10, 60)  # to connect, and between two parts
_SMALL = 1 << 22  # bytes that a list, a signature or a manifest may have
_PART = 1 << 20


def fetch(url: str, folder: Path) -> None:
    """Downloads the bundle at an address into an empty folder.

    Raises:
      UserError: where the address does not answer, lacks a file, or sends more than the manifest says.
    """
    base = url.rstrip("/")
    _get(f"{base}/{checksums.FILE}", folder / checksums.FILE, _SMALL)
    _get(f"{base}/{checksums.SIGNATURE}", folder / checksums.SIGNATURE, _SMALL, optional=True)
    listed = checksums.parse((folder / checksums.FILE).read_bytes())
    if manifest.FILE not in listed:
        raise UserError(f"{base}/{checksums.FILE} lists no {manifest.FILE}: no bundle of this project")
    _get(f"{base}/{manifest.FILE}", folder / manifest.FILE, _SMALL)
    if sha256(folder / manifest.FILE) != listed[manifest.FILE]:  # its sizes are trusted below
        raise UserError(f"{base}/{manifest.FILE} is damaged or was changed (SHA-256 differs)")
    described = read_json(folder / manifest.FILE)
    manifest.check(described)
    sizes = {name: int(known["bytes"]) for name, known in described["files"].items()}
    names = sorted(set(listed) - {manifest.FILE})
    for name in names:
        if name not in sizes:
            raise UserError(f"{base}/{checksums.FILE} lists {name}, {manifest.FILE} does not")
    with progress_bar("download", sum(sizes[name] for name in names)) as show:
        done = 0
        for name in names:
            _get(f"{base}/{name}", folder / name, sizes[name])
            done += sizes[name]
            show(done, name)


def _get(url: str, path: Path, most: int, *, optional: bool = False) -> None:
    try:
        with requests.get(url, stream=True, timeout=_TIMEOUT_S) as response:
            if optional and response.status_code == requests.codes.not_found:
                return
            if not response.ok:
                raise UserError(f"{url} answers {response.status_code} {response.reason}; is this a bundle's address?")
            path.parent.mkdir(parents=True, exist_ok=True)
            got = 0
            with path.open("wb") as file:
                for part in response.iter_content(_PART):
                    got += len(part)
                    if got > most:
                        raise UserError(f"{url} sends more than the {most:,} bytes that it should have")
                    file.write(part)
    except requests.RequestException as error:
        raise UserError(f"{url} cannot be read ({type(error).__name__}): check the address and the network") from None
