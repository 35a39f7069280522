"""Hugging Face folders to be changed."""

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
    """A Llama's folder, which may be changed."""
    return Path(shutil.copytree(originals / "llama", tmp_path / "folder"))


@pytest.fixture
def unmade(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is made, and no weight read."""

    def fail(*arguments: Any) -> None:
        raise AssertionError("a model was made")

    monkeypatch.setattr(keras_import, "_new_backbone", fail)
