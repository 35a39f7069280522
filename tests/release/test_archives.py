"""Archives of a bundle are checked, never unpacked."""

import zipfile
from pathlib import Path

import pytest

from autocomplete.common.errors import UserError
from autocomplete.release import archives


def archive(path: Path, entries: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as opened:
        for name, content in entries.items():
            opened.writestr(name, content)
    return path


def test_a_sound_archive_passes(tmp_path: Path) -> None:
    archives.check(archive(tmp_path / "a.aar", {"assets/core.tflite": b"x" * 1000, "..a/b..": b""}))


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/passwd", "a\\..\\..\\evil"])
def test_a_name_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leads out of its folder"):
        archives.check(archive(tmp_path / "a.aar", {"good": b"", name: b""}))


def test_a_bomb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    bomb = archive(tmp_path / "a.aar", {"zeros": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 100_000
    with pytest.raises(UserError, match=r"unpacks to 10,000,000 bytes, more than the plausible .*: a bomb\?"):
        archives.check(bomb)


def test_a_small_archive_may_grow(tmp_path: Path) -> None:
    archives.check(archive(tmp_path / "a.aar", {"zeros": bytes(1_000_000)}, zipfile.ZIP_DEFLATED))


def test_content_that_does_not_match_its_checksum_is_damage(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.aar", {"model": b"content"})
    path.write_bytes(path.read_bytes().replace(b"content", b"contend"))
    with pytest.raises(UserError, match="model is damaged"):
        archives.check(path)


@pytest.mark.parametrize("keep", [0, 10, -20])
def test_an_invalid_archive_is_one_line(keep: int, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.aar", {"model": b"content"})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="is no sound archive"):
        archives.check(path)
    with pytest.raises(UserError, match="is no sound archive"):
        archives.check(tmp_path / "missing.aar")
