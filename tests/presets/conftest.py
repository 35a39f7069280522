"""Hugging Face folders for tests to change."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from autocomplete.presets import keras_import
from helpers import odd_folders


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return odd_folders.make(tmp_path_factory.mktemp("originals"))


@pytest.fixture
def folder(originals: Path, tmp_path: Path) -> Path:
    """A copy of a Llama's folder, which a test may change."""
    return Path(shutil.copytree(originals / "llama", tmp_path / "folder"))


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a test that builds a model."""

    def fail(*arguments: Any) -> None:
        raise AssertionError("a model was built")

    monkeypatch.setattr(keras_import, "_new_backbone", fail)
