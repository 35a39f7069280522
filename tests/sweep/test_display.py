"""The progress of a sweep's jobs, and its table, on wide and narrow terminals."""

import re
import time
from pathlib import Path

import pytest

from autocomplete.evaluate import table
from autocomplete.sweep import job_records, report
from autocomplete.sweep.display import display
from autocomplete.sweep.job_records import DONE, FAILED, RUNNING, JobRecord
from autocomplete.sweep.ranking import JobRow

NAMES = [f"int4_block32-sequence_length-{length}-1f09ab" for length in range(100, 106)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two jobs done in 10 s each, one failed, one that has run for 4 s, two that wait."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES[:2]:
        job_records.write(JobRecord(name, DONE, 0.0, 10.0))
    job_records.write(JobRecord(NAMES[2], FAILED, 0.0, 3.0, reason="no room on the disk"))
    job_records.write(JobRecord(NAMES[3], RUNNING, time.time() - 4))
    job_records.log_path(NAMES[3]).write_text("Running stage 'convert':\n")


def terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(width))


def plain(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n").splitlines()


@pytest.mark.parametrize("width", [50, 80, 160])
def test_a_terminal_shows_what_runs_and_what_failed(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal(monkeypatch, width)
    with display("jobs", NAMES) as show:
        show()
    lines = plain(capsys.readouterr().err)
    assert max(map(len, lines)) <= width
    head, running, failed = [line for line in lines if line.strip()][-3:]
    assert "3/6, 1 failed" in head
    assert "103-1f09ab  convert" in running  # the end of its name, however narrow the terminal
    assert "0:00:04" in running
    assert "no room" in failed
    if width > 50:  # one at a time: 6 s of the running job, and 10 s for each of two
        assert re.search(r"0:00:2[5-7] left", head)


def test_without_a_terminal_each_change_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with display("jobs", NAMES) as show:
        show()
        show()
        job_records.write(JobRecord(NAMES[3], DONE, 0.0, 5.0))
        show()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[2].endswith(f"{NAMES[2]}  failed  no room on the disk")
    assert lines[3].endswith(f"{NAMES[3]}  running: convert")
    assert lines[4].startswith("jobs 4/6, 1 failed")


def row(name: str) -> JobRow:
    cells: table.Row = {
        **{column.key: 1.0 for column in table.COLUMNS},
        "decode_tokens_per_s": 4321.0,
        "mode": "int4_block32",
        "gates": "passed",
    }
    return JobRow(name, {"convert.sequence_length": name.split("-")[2]}, cells)


@pytest.mark.parametrize(("width", "all_columns"), [(110, False), (300, True)])
def test_the_table_fits_a_terminal(
    width: int, all_columns: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    terminal(monkeypatch, width)
    criteria = report.Criteria("decode_tokens_per_s", [], ["core_mb", "perplexity_ratio", "decode_tokens_per_s"])
    report.write([row(name) for name in NAMES], table.COLUMNS, criteria, tmp_path)
    lines = plain(capsys.readouterr().out)
    assert max(map(len, lines)) <= width
    for name in NAMES:
        (line,) = [line for line in lines if name in line]  # in one piece, as `dvc exp apply` needs it
        assert "4321" in line
    assert any("more columns in table.md" in line for line in lines) == (not all_columns)
    assert any("KL p99" in line for line in lines) == all_columns
