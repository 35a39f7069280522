"""Folders that are replaced whole."""

from pathlib import Path

import pytest

from autocomplete.common.files import replacing


def content(folder: Path) -> str:
    return (folder / "file").read_text()


def write(folder: Path, text: str) -> None:
    with replacing(folder) as temporary:
        (temporary / "file").write_text(text)


def test_a_failure_leaves_the_folder_unchanged(tmp_path: Path) -> None:
    folder = tmp_path / "deep/folder"
    write(folder, "old")
    with pytest.raises(RuntimeError), replacing(folder) as temporary:
        (temporary / "file").write_text("new")
        raise RuntimeError
    assert content(folder) == "old"
    write(folder, "new")
    assert content(folder) == "new"
    assert list(folder.parent.iterdir()) == [folder]


def test_what_a_killed_process_left_is_repaired(tmp_path: Path) -> None:
    """Between the two renames there is no folder, and the old one has another name."""
    folder = tmp_path / "folder"
    write(folder, "old")
    folder.rename(tmp_path / ".folder.before")
    (tmp_path / ".folder.partial").mkdir()
    with pytest.raises(RuntimeError), replacing(folder):
        assert content(folder) == "old"
        raise RuntimeError
    assert content(folder) == "old"
    (tmp_path / ".folder.before").mkdir()  # killed after the second rename
    write(folder, "new")
    assert content(folder) == "new"
    assert list(tmp_path.iterdir()) == [folder]
