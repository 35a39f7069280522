"""Sweeps whose processes are killed or interrupted: what is done is kept, and the same command does the rest."""

import os
import signal

import psutil
import pytest

from helpers.repositories import Repository
from helpers.sweeps import damaged, find, started, sweep, table

pytestmark = pytest.mark.slow

KILLED = {
    "dvc": lambda line: "-m dvc exp run --name float16" in line,
    "stage": lambda line: "fake_stage.py quantize float16" in line and "/sh" not in line,
}


@pytest.mark.parametrize(("who", "shell"), [("dvc", "/bin/bash"), ("stage", "/bin/bash"), ("stage", "/bin/sh")])
def test_a_killed_job_is_reported_and_run_again(repository: Repository, who: str, shell: str) -> None:
    arguments = ("quantize=float32,float16,dynamic_range",)
    process = started(repository, *arguments, FAKE_SECONDS="1", SHELL=shell)
    find(process, KILLED[who]).kill()
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 1, errors
    assert "failed: float16-" in errors
    assert "killed by SIGKILL" in errors
    assert errors.splitlines()[-1] == "error: 1 of 3 jobs failed; the same command runs them again"
    assert sweep(repository, *arguments).returncode == 0
    assert len(table(repository)) == 3
    assert not damaged(repository)


def test_a_killed_worker_fails_no_job(repository: Repository) -> None:
    process = started(repository, "quantize=float32,float16,dynamic_range", FAKE_SECONDS="1")
    child = find(process, lambda line: "fake_stage.py quantize" in line and "/sh" not in line)
    worker = next(p for p in child.parents() if "LokyProcess" in " ".join(p.cmdline()))
    worker.kill()
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert len(table(repository)) == 3
    assert not damaged(repository)


def test_an_interrupt_ends_all_and_leaves_nothing_half_done(repository: Repository) -> None:
    repository.edit("params.yaml", "# knobs", "# my knobs")  # what a user has not committed
    process = started(repository, "quantize=float32,float16,dynamic_range", FAKE_SECONDS="1")
    find(process, lambda line: "fake_stage.py quantize float16" in line)
    family = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("error: interrupted; what is done is kept")
    assert "Traceback" not in errors
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert repository.git("status", "--porcelain").strip() == "M params.yaml"
    assert repository.git("stash", "list") == ""
    assert not (repository.folder / ".dvc/tmp/sweep").exists()
    assert sweep(repository, "quantize=float32,float16,dynamic_range").returncode == 0
    assert len(table(repository)) == 3


def test_one_sweep_at_a_time(repository: Repository) -> None:
    process = started(repository, "quantize=float32", FAKE_SECONDS="3")
    find(process, lambda line: "fake_stage.py" in line)
    done = sweep(repository, "quantize=float16")
    assert "error: another sweep runs in this repository" in done.stderr
    process.communicate(timeout=100)
    assert process.returncode == 0
