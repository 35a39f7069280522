"""Jobs are supervised until they end, whatever happens to the processes that run them."""

import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from autocomplete.common.errors import UserError
from autocomplete.sweep import job_records, supervise
from autocomplete.sweep.job_records import DONE, FAILED, RUNNING, JobRecord

Launch = Callable[[Sequence[str]], None]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(supervise, "_POLL_S", 0.01)
    job_records.FOLDER.mkdir(parents=True)
    supervise.LAUNCHER_LOG.write_text("")


def supervised(launch: Launch, *names: str) -> list[list[str]]:
    """Supervises jobs whose launcher is a function; returns the names that each launch received."""
    launched: list[list[str]] = []

    def start(remaining: Sequence[str]) -> BaseProcess:
        launched.append(list(remaining))
        process = multiprocessing.get_context("fork").Process(target=launch, args=(remaining,))
        process.start()
        return process

    supervise.run_until_ended(start, names, lambda: None)
    return launched


def states(*names: str) -> list[str]:
    records = [job_records.read(name) for name in names]
    return [record.state if record else "none" for record in records]


def begin(name: str) -> None:
    job_records.write(JobRecord(name, RUNNING, time.time(), host=socket.gethostname(), pid=os.getpid()))


def test_jobs_that_ended_are_not_launched_again() -> None:
    def launch(names: Sequence[str]) -> None:
        for name in names:
            job_records.write(JobRecord(name, FAILED if name == "b" else DONE, time.time()))

    assert supervised(launch, "a", "b") == [["a", "b"]]
    assert states("a", "b") == [DONE, FAILED]


def test_records_of_earlier_sweeps_are_deleted() -> None:
    job_records.write(JobRecord("a", DONE, 0.0))
    with pytest.raises(UserError, match="the launcher began no job: it wrote nothing"):
        supervised(lambda names: None, "a")


def test_a_launcher_that_begins_nothing_is_quoted() -> None:
    supervise.LAUNCHER_LOG.write_text("Traceback\nsbatch: error: no such partition\n\n")
    with pytest.raises(UserError, match="the launcher began no job: sbatch: error: no such partition"):
        supervised(lambda names: None, "a")


def test_a_job_whose_process_is_gone_has_failed_and_the_others_go_on() -> None:
    def launch(names: Sequence[str]) -> None:
        begin(names[0])
        job_records.log_path(names[0]).write_text("Running stage 'convert':\n")
        if len(names) == 1:
            job_records.write(JobRecord(names[0], DONE, time.time()))

    assert supervised(launch, "a", "b") == [["a", "b"], ["b"]]
    assert states("a", "b") == [FAILED, DONE]
    failed = job_records.read("a")
    assert failed is not None and failed.reason == "its process was killed while at convert"


def test_jobs_that_failed_together_run_once_more() -> None:
    def launch(names: Sequence[str]) -> None:
        for name in names:
            begin(name)
        supervise.LAUNCHER_LOG.write_text("joblib.externals.loky.process_executor.TerminatedWorkerError: …\n")

    assert supervised(launch, "a", "b") == [["a", "b"], ["a", "b"]]
    assert states("a", "b") == [FAILED, FAILED]


def test_an_interrupt_ends_the_launcher() -> None:
    processes: list[BaseProcess] = []

    def start(names: Sequence[str]) -> BaseProcess:
        processes.append(multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,)))
        processes[0].start()
        return processes[0]

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        supervise.run_until_ended(start, ["a"], interrupt)
    assert not processes[0].is_alive()
