"""Progress without a terminal: a line at intervals, and a log of every step."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from autocomplete.common import progress


def test_a_line_shows_the_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "_PLAIN_EVERY_S", 0.0)
    with progress.progress_bar("files", 4) as show:
        show(1, "a")
        show(4, "b")
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("files 1/4 a ")
    assert last == "files 4/4 b 0:00:00 left"


def test_quick_work_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress_bar("files", 2) as show:
        show(1, "")
        show(2, "")
    assert capsys.readouterr().err == ""


def test_work_without_a_count_prints_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.step("reading"):
        assert capsys.readouterr().err == "reading\n"
    assert capsys.readouterr().err == ""


def test_a_run_that_goes_on_appends_each_step_to_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_EVERY_S", 0.0)
    log = tmp_path / "log.csv"
    for steps in ((1, 2), (3,)):
        with progress.training_progress(log) as show:
            for step in steps:
                show(SimpleNamespace(step=step, steps=3, loss=4.0 / step, tokens_per_s=1500.0))
    assert log.read_text().splitlines() == ["1,4.0000,1500", "2,2.0000,1500", "3,1.3333,1500"]
    second = capsys.readouterr().err.splitlines()[1]
    assert "loss 3.960" in second  # smoothed: 0.98 · 4 + 0.02 · 2
    assert "1.5 k tokens/s" in second
