"""Uploads releases for teams without DVC: to a folder, an HTTP server (PUT), S3, SSH, whatever fsspec reaches."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import fsspec
import requests
from fsspec.implementations.local import LocalFileSystem

from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing_file
from autocomplete.common.progress import progress_bar
from autocomplete.release import releases
from autocomplete.release.record import FOLDER

RECORD = "release.json"
_HTTP = ("http://", "https://")
_TIMEOUT_S = (10, 300)  # to connect; between two chunks, and for the answer to an upload


def releases_url(prefix: str, name: str) -> str:
    """Returns the address below a prefix for the releases of bundles of a name, and for their index."""
    return f"{prefix.rstrip('/')}/{FOLDER.as_posix()}/{name}"


def upload(url: str, version: str, bundles: Sequence[Path], record: Path) -> None:
    """Uploads the bundles of a version, and last its record, which marks the version as complete.

    Args:
      url: the address of all releases.
      version: without `v`.
      bundles: folders, each named by its mode.
      record: the file releases/<version>.json.
    """
    paths = [(f"{b.name}/{path.relative_to(b).as_posix()}", path) for b in bundles for path in sorted(b.rglob("*"))]
    files = [*((name, path) for name, path in paths if path.is_file()), (RECORD, record)]
    with progress_bar("publish", sum(path.stat().st_size for _, path in files)) as show:
        done = 0
        for name, path in files:
            _upload_file(path, f"{url}/{version}/{name}")
            done += path.stat().st_size
            show(done, name)


def is_complete(url: str, version: str) -> bool:
    """Whether all of a version is below the address of all releases."""
    with _one_line_errors(url):
        if url.startswith(_HTTP):
            answer = requests.get(f"{url}/{version}/{RECORD}", timeout=_TIMEOUT_S)
            if answer.status_code != requests.codes.not_found:
                answer.raise_for_status()
            return answer.ok
        filesystem, path = fsspec.url_to_fs(f"{url}/{version}/{RECORD}")
        return bool(filesystem.exists(path))


def upload_index(url: str, index: releases.Index) -> None:
    """Uploads the index, by which versions are found."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / releases.FILE
        index.write(path)
        _upload_file(path, f"{url}/{releases.FILE}")


def _upload_file(path: Path, url: str) -> None:
    with _one_line_errors(url):
        if url.startswith(_HTTP):  # fsspec sends chunks without a total size, which not every server accepts
            with path.open("rb") as source:
                requests.put(url, data=source, timeout=_TIMEOUT_S).raise_for_status()
            return
        filesystem, target = fsspec.url_to_fs(url)
        if isinstance(filesystem, LocalFileSystem):  # the only one that would show an incomplete file
            with path.open("rb") as source, replacing_file(Path(target)) as file:
                shutil.copyfileobj(source, file)
        else:
            if "ssh" in filesystem.protocol:  # object stores have no folders; s3fs would make a bucket
                filesystem.makedirs(target.rpartition("/")[0], exist_ok=True)
            filesystem.put_file(str(path), target)


@contextlib.contextmanager
def _one_line_errors(url: str) -> Iterator[None]:
    """Turns any exception into a UserError of one line: each filesystem of fsspec raises exceptions of its own."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        message = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{url} cannot be reached or written: {message}; mend it and give the same command again"
        ) from None
