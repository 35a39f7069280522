"""A place for teams without DVC: a folder that a web server shows, HTTP (PUT), S3, SSH, whatever fsspec reaches."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec
import requests
from fsspec.implementations.local import LocalFileSystem

from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing_file, write_json
from autocomplete.common.progress import progress_bar
from autocomplete.release import releases
from autocomplete.release.record import FOLDER

RECORD = "release.json"
_WEB = ("http://", "https://")
_TIMEOUT_S = (10, 300)  # to connect; between two parts, and for an answer to what was sent


def home(url: str, name: str) -> str:
    """The address of the folder that holds the index of a name's releases."""
    return f"{url.rstrip('/')}/{FOLDER.as_posix()}/{name}"


def publish(place: str, version: str, bundles: Sequence[Path], record: Path) -> None:
    """Copies the bundles of a version below a home, and last its record, which says that they are all there."""
    found = [(f"{b.name}/{p.relative_to(b).as_posix()}", p) for b in bundles for p in sorted(b.rglob("*"))]
    files = [*((name, path) for name, path in found if path.is_file()), (RECORD, record)]
    with progress_bar("publish", sum(path.stat().st_size for _, path in files)) as show:
        done = 0
        for name, path in files:
            _put(path, f"{place}/{version}/{name}")
            done += path.stat().st_size
            show(done, name)


def has(place: str, version: str) -> bool:
    """Whether all of a version is below a home."""
    with _reaching(place):
        if place.startswith(_WEB):
            answer = requests.get(f"{place}/{version}/{RECORD}", timeout=_TIMEOUT_S)
            if answer.status_code != requests.codes.not_found:
                answer.raise_for_status()
            return answer.ok
        files, path = fsspec.url_to_fs(f"{place}/{version}/{RECORD}")
        return bool(files.exists(path))


def point(place: str, content: Mapping[str, Any]) -> None:
    """Writes a home's index, by which versions are found."""
    with tempfile.TemporaryDirectory() as folder:
        write_json(Path(folder) / releases.FILE, content)
        _put(Path(folder) / releases.FILE, f"{place}/{releases.FILE}")


def _put(path: Path, url: str) -> None:
    with _reaching(url):
        if url.startswith(_WEB):  # not by fsspec, which sends parts of unknown number: not every server takes them
            with path.open("rb") as source:
                requests.put(url, data=source, timeout=_TIMEOUT_S).raise_for_status()
            return
        files, target = fsspec.url_to_fs(url)
        if isinstance(files, LocalFileSystem):  # the only kind that would show a file before all of it is there
            with path.open("rb") as source, replacing_file(Path(target)) as file:
                shutil.copyfileobj(source, file)
        else:
            if "ssh" in files.protocol:  # an object store has no folders, and s3fs would make a bucket
                files.makedirs(target.rpartition("/")[0], exist_ok=True)
            files.put_file(str(path), target)


@contextlib.contextmanager
def _reaching(url: str) -> Iterator[None]:
    """Tells in one line what went wrong with an address; each kind of place raises exceptions of its own."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{url} cannot be reached or written: {said}; mend it and give the same command again"
        ) from None
