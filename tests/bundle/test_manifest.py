"""The manifest and the files that it lists."""

from pathlib import Path
from typing import Any

import pytest

from autocomplete.bundle import integrity, manifest
from autocomplete.bundle.contract import Manifest
from autocomplete.common.errors import UserError
from autocomplete.common.files import sha256
from helpers import records
from helpers.manifests import manifest_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sealed bundle of two files."""
    (tmp_path / "core.tflite").write_bytes(b"core")
    (tmp_path / "usage").mkdir()
    (tmp_path / "usage/README.md").write_text("# usage\n")
    manifest.seal(manifest_of(tmp_path), tmp_path, known_files={})
    return tmp_path


def hashes(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): sha256(p) for p in folder.rglob("*") if p.is_file()}


def test_a_sealed_folder_agrees_with_its_manifest(folder: Path) -> None:
    sealed = Manifest.read(folder / manifest.FILE)
    assert set(sealed.files) == {"core.tflite", "usage/README.md"}
    assert sealed.files["core.tflite"].bytes == 4
    integrity.check(folder)
    manifest.check_files(sealed, folder, hashes(folder))


def test_sealing_again_changes_nothing(folder: Path) -> None:
    before = hashes(folder)
    manifest.seal(Manifest.read(folder / manifest.FILE), folder, known_files={})
    assert hashes(folder) == before


def test_an_extra_a_changed_and_a_missing_file_are_named(folder: Path) -> None:
    sealed = Manifest.read(folder / manifest.FILE)
    (folder / "extra").write_text("")
    with pytest.raises(UserError, match="extra is in the folder alone"):
        manifest.check_files(sealed, folder, hashes(folder))
    (folder / "extra").unlink()
    (folder / "core.tflite").write_bytes(b"cord")
    with pytest.raises(UserError, match=r"core\.tflite is not the file that manifest\.json describes"):
        manifest.check_files(sealed, folder, hashes(folder))
    (folder / "core.tflite").unlink()
    with pytest.raises(UserError, match=r"core\.tflite is in manifest\.json alone"):
        manifest.check_files(sealed, folder, hashes(folder))


@pytest.mark.parametrize(
    ("p50", "p95", "default", "maximum"), [(12.0, 20.5, 12, 20), (0.0, 0.4, 1, 1), (None, None, 1, 1)]
)
def test_the_window_in_words_is_at_least_one(p50: Any, p95: Any, default: int, maximum: int) -> None:
    metrics = records.measured(context_words_p50=p50, context_words_p95=p95)
    window = manifest.context_window(records.conversion(context_window=24), metrics)
    assert (window.words.minimum, window.words.default, window.words.maximum) == (1, default, maximum)
    assert (window.tokens.default, window.tokens.maximum) == (24, 24)


def test_failed_gates_are_listed(tmp_path: Path) -> None:
    (tmp_path / "core.tflite").write_bytes(b"core")
    built = manifest_of(tmp_path, gates=records.gates(perplexity_ratio=False, greedy_match=True))
    assert built.failed_gates == ["perplexity_ratio"]
    assert [gate.name for gate in built.metrics.gates] == ["perplexity_ratio", "greedy_match"]


def test_the_prompt_size_in_bytes_is_given_where_a_model_reads_bytes(tmp_path: Path) -> None:
    (tmp_path / "core.tflite").write_bytes(b"core")
    built = manifest_of(tmp_path)
    assert built.lengths.portable_prompt_bytes is None
    with_portable = manifest_of(tmp_path, models=built.models | {manifest.PORTABLE: built.models["core.tflite"]})
    assert with_portable.lengths.portable_prompt_bytes == 200
