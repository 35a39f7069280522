"""Folders that are replaced whole."""

from pathlib import Path

import pytest

from autocomplete.common.files import replacing


def said(folder: Path) -> str:
    return (folder / "said").read_text()


def write(folder: Path, text: str) -> None:
    with replacing(folder) as temporary:
        (temporary / "said").write_text(text)


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "deep/folder"
    write(folder, "old")
    with pytest.raises(RuntimeError), replacing(folder) as temporary:
        (temporary / "said").write_text("new")
        raise RuntimeError
    assert said(folder) == "old"
    write(folder, "new")
    assert said(folder) == "new"
    assert list(folder.parent.iterdir()) == [folder]


def test_what_a_killed_process_left_is_mended(tmp_path: Path) -> None:
    """Between the two renames there is no folder, and the old one has another name."""
    folder = tmp_path / "folder"
    write(folder, "old")
    folder.rename(tmp_path / ".folder.before")
    (tmp_path / ".folder.partial").mkdir()
    with pytest.raises(RuntimeError), replacing(folder):
        assert said(folder) == "old"
        raise RuntimeError
    assert said(folder) == "old"
    (tmp_path / ".folder.before").mkdir()  # killed behind the second one
    write(folder, "new")
    assert said(folder) == "new"
    assert list(tmp_path.iterdir()) == [folder]
