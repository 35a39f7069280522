"""A download takes no more than a bundle declares."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from autocomplete.bundle import integrity, manifest
from autocomplete.common.errors import UserError
from autocomplete.common.files import tree_sha256
from autocomplete.release import download
from autocomplete.release.download import FileSource, MissingFileError
from helpers.manifests import manifest_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small bundle."""
    folder = tmp_path / "source"
    (folder / "tokenizer").mkdir(parents=True)
    for name in ("core.tflite", "tokens.tflite", "tokenizer/tokenizer.json"):
        (folder / name).write_bytes(name.encode() * 100)
    manifest.seal(manifest_of(folder), folder, known_files={})
    return folder


def files_of(folder: Path, endless: str = "") -> FileSource:
    """The files of a folder, one of which may never end."""

    def chunks(name: str) -> Iterator[bytes]:
        if not (folder / name).is_file():
            raise MissingFileError(f"there is no {name}")
        yield (folder / name).read_bytes()
        while name == endless:
            yield bytes(1000)

    return FileSource("here", chunks)


def test_a_bundle_arrives_whole(source: Path, tmp_path: Path) -> None:
    download.fetch(files_of(source), tmp_path / "got")
    assert tree_sha256(tmp_path / "got") == tree_sha256(source)


def test_a_signature_comes_along(source: Path, tmp_path: Path) -> None:
    (source / integrity.SIGNATURE).write_bytes(b"signature")
    download.fetch(files_of(source), tmp_path / "got")
    assert (tmp_path / "got" / integrity.SIGNATURE).read_bytes() == b"signature"


@pytest.mark.parametrize("name", ["core.tflite", integrity.FILE, manifest.FILE])
def test_the_download_of_an_endless_file_is_aborted(name: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"here/{name} sends more than the"):
        download.fetch(files_of(source, endless=name), tmp_path / "got")


def test_a_manifest_of_another_hash_is_refused(source: Path, tmp_path: Path) -> None:
    path = source / manifest.FILE
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(UserError, match=r"here/manifest\.json is damaged or was changed"):
        download.fetch_manifest(files_of(source), tmp_path / "got")


def test_a_file_that_only_the_hashes_list_is_refused(source: Path, tmp_path: Path) -> None:
    content = json.loads((source / manifest.FILE).read_text())
    del content["files"]["core.tflite"]
    (source / manifest.FILE).write_text(json.dumps(content))
    integrity.write(source)
    with pytest.raises(UserError, match=r"SHA256SUMS lists core\.tflite, manifest\.json does not"):
        download.fetch_manifest(files_of(source), tmp_path / "got")


def test_hashes_without_a_manifest_are_refused(source: Path, tmp_path: Path) -> None:
    (source / manifest.FILE).unlink()
    integrity.write(source)
    with pytest.raises(UserError, match=r"lists no manifest\.json: no bundle of this project"):
        download.fetch_manifest(files_of(source), tmp_path / "got")


@pytest.mark.parametrize("name", ["core.tflite", manifest.FILE, integrity.FILE])
def test_a_missing_file_is_named(name: str, source: Path, tmp_path: Path) -> None:
    shutil.move(source / name, tmp_path / "elsewhere")
    with pytest.raises(MissingFileError, match=f"there is no {name}"):
        download.fetch(files_of(source), tmp_path / "got")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://reader:secret@host/a", "https://host/a"),
        ("http://token@host:8080/a@b", "http://host:8080/a@b"),
        ("https://host/a", "https://host/a"),
    ],
)
def test_a_login_is_not_shown(url: str, shown: str) -> None:
    assert download.without_credentials(url) == shown
    assert download.http_source(f"{url}/").name == shown
