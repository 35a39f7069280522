"""Seconds of stages: noted for each run, added up over modes, and never a cause of failure."""

from pathlib import Path

import pytest

from autocomplete.common import stage_seconds


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    return tmp_path


def test_modes_of_a_stage_are_added_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert stage_seconds.by_stage() == {}
    for stage, mode in (("author", ""), ("quantize", "float32"), ("quantize", "float16"), ("author", "")):
        with stage_seconds.noted(stage, mode):
            pass
    assert stage_seconds.by_stage() == {"quantize": 0.0, "author": 0.0}
    assert "quantize@float16: 0.0 s" in capsys.readouterr().out


def test_a_stage_that_fails_and_a_damaged_note_count_nothing(repository: Path) -> None:
    with pytest.raises(ValueError, match="no"), stage_seconds.noted("convert"):
        raise ValueError("no")
    (repository / ".dvc/tmp/stage_seconds").mkdir()
    (repository / ".dvc/tmp/stage_seconds/layers.json").write_text("{")
    assert stage_seconds.by_stage() == {}


def test_outside_a_repository_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with stage_seconds.noted("author"):
        pass
    assert list(Path().iterdir()) == []
