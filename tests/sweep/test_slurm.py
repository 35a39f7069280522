"""The states of jobs in a cluster's queue, by SLURM's commands."""

from pathlib import Path

import pytest

from autocomplete.sweep import slurm


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `squeue` with one job that runs and one that was killed, and a `scancel` that logs its arguments."""
    log = tmp_path / "called"
    log.touch()
    for name, script in {"squeue": "echo RUNNING; echo CANCELLED", "scancel": f'echo "$@" >> {log}'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv(slurm.JOB_NAME_VARIABLE, "sweep-1")
    return log


def test_jobs_that_run_are_waited_for_and_cancelled(called: Path) -> None:
    assert slurm.job_states() == ["RUNNING", "CANCELLED"]
    assert slurm.any_unfinished(slurm.job_states())
    slurm.cancel_jobs()
    assert called.read_text() == "--name=sweep-1\n"


def test_without_running_jobs_nothing_is_cancelled(called: Path) -> None:
    (called.parent / "squeue").write_text("#!/bin/sh\necho COMPLETED\n")
    slurm.cancel_jobs()
    assert called.read_text() == ""


def test_jobs_of_another_sweep_are_not_queried(called: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(slurm.JOB_NAME_VARIABLE)
    assert slurm.job_states() == []


def test_without_slurm_there_is_no_queue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(slurm.JOB_NAME_VARIABLE, "sweep-1")
    assert slurm.job_states() == []
    slurm.cancel_jobs()


@pytest.mark.parametrize(
    ("states", "waiting"),
    [([], False), (["COMPLETED", "TIMEOUT"], False), (["FAILED", "PENDING"], True), (["NEW"], True)],
)
def test_unfinished_states(states: list[str], waiting: bool) -> None:
    assert slurm.any_unfinished(states) is waiting
