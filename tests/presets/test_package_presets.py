"""Presets inside installed Python packages, `package://name/path`."""

import sys
from pathlib import Path

import pytest

from autocomplete.common.errors import UserError
from autocomplete.presets import hub
from autocomplete.presets.settings import HubSettings, Pin


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that must not be imported when its files are looked up."""
    folder = tmp_path / "some_models"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "inner/model.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_a_file_or_a_folder_is_found_and_nothing_imported(package: Path) -> None:
    assert hub.find("package://some_models/inner/model.gguf", Pin(), HubSettings()).path == package / "inner/model.gguf"
    assert hub.find("package://some_models/inner", Pin(), HubSettings()).path == package / "inner"
    assert "some_models" not in sys.modules


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("package://no_such_package/a.gguf", "in the package no_such_package, which is not installed; run `uv sync"),
        ("package://some_models/b.gguf", r"the package some_models holds no b\.gguf"),
        ("package://some_models/../../etc/passwd", "names no file of a package; allowed: package://name/path"),
        ("package://some_models", "names no file of a package"),
        ("package://some.models/a", "names no file of a package"),
        ("package:///etc/passwd", "names no file of a package"),
        ("package://json/decoder.gguf", r"the package json holds no decoder\.gguf"),
        ("nowhere/model.gguf", r"GGUF file nowhere/model\.gguf does not exist; author\.preset takes"),
    ],
)
def test_a_missing_file_is_refused_in_one_line(package: Path, preset: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        hub.find(preset, Pin(), HubSettings())
    assert "\n" not in str(refused.value)


def test_a_file_has_no_revision(package: Path) -> None:
    with pytest.raises(UserError, match=r"is a file: pin it by author\.sha256"):
        hub.find("package://some_models/inner/model.gguf", Pin(revision="main"), HubSettings())
