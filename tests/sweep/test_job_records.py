"""Records of jobs, also where their files are missing, damaged or incomplete."""

import time
from pathlib import Path

import pytest

from autocomplete.sweep import job_records
from autocomplete.sweep.job_records import DONE, RUNNING, JobRecord, ModeResult
from helpers import records as made_up


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job_records.FOLDER.mkdir(parents=True)


def test_a_record_is_read_as_it_was_written() -> None:
    result = ModeResult(made_up.measured(parity_max=None), made_up.performance(), made_up.gates(one=False))
    record = JobRecord("job", DONE, 1.5, 2.0, "host", 7, "why", {"a": "1"}, {"float32": result})
    job_records.write(record)
    assert job_records.read("job") == record
    job_records.delete("job")
    job_records.delete("job")
    assert job_records.read("job") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "job"}', '{"colour": "red"}'])
def test_a_file_that_holds_no_record_counts_as_none(content: str) -> None:
    (job_records.FOLDER / "job.json").write_text(content)
    assert job_records.read("job") is None


def test_the_stage_is_the_last_one_that_the_log_names() -> None:
    assert job_records.current_stage("job") == "preparing"
    job_records.log_path("job").write_text(
        "Stage 'author' didn't change, skipping\nRunning stage 'convert':\n> Stage 'x' of a text\n"
    )
    assert job_records.current_stage("job") == "convert"


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("a\nerror: top_k is 0\nERROR: failed to reproduce\nlast\n", "top_k is 0"),
        ("a\nERROR: failed to run: python, exited with -9\n", "failed to run: python, killed by SIGKILL"),
        ("ERROR: failed to run: python, exited with 137\n", "failed to run: python, killed by SIGKILL"),
        ("ERROR: failed to run: python, exited with 1\n", "failed to run: python, exited with 1"),
        ("ERROR: failed to run: python, exited with 255\n", "failed to run: python, exited with 255"),
        ("first\n  last  \n\n", "last"),
        ("", "it wrote nothing"),
    ],
)
def test_the_reason_of_a_failure_is_the_most_informative_line(log: str, reason: str) -> None:
    job_records.log_path("job").write_text(log)
    assert job_records.failure_reason("job") == reason


def test_a_job_without_a_log_wrote_nothing() -> None:
    assert job_records.failure_reason("none") == "it wrote nothing"


def test_only_the_end_of_a_long_log_is_read() -> None:
    job_records.log_path("job").write_bytes(b"error: the first\n" + b"\xff" * 30_000 + b"\nerror: the last\n")
    assert job_records.failure_reason("job") == "the last"


def test_the_elapsed_time_of_a_running_job_grows() -> None:
    assert job_records.elapsed_seconds(JobRecord("job", RUNNING, time.time() - 100)) >= 100
    assert job_records.elapsed_seconds(JobRecord("job", DONE, 0.0, 3.0)) == 3.0
