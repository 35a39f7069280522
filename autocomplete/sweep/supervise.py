"""Sees jobs through, whatever happens to the processes that run them."""

import contextlib
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing.process import BaseProcess
from typing import Any

import psutil

from autocomplete.common import processes
from autocomplete.common.errors import UserError
from autocomplete.sweep import job_records, slurm

LAUNCHER_LOG = job_records.FOLDER / "launcher.log"
_LOOK_S, _ASK_SLURM_S, _GRACE_S = 0.5, 5.0, 30.0
_TRIES = 2  # of a job that went down with another's worker
Start = Callable[[Sequence[str]], BaseProcess]
Show = Callable[[], None]


def starter(
    launch: Callable[..., None], overrides: list[str], orders: Mapping[str, dict[str, Any]], work: Any
) -> Start:
    """Starts `launch(overrides, orders, work)` for the jobs of some names, in a process of its own."""

    def start(names: Sequence[str]) -> BaseProcess:
        LAUNCHER_LOG.parent.mkdir(parents=True, exist_ok=True)
        chosen = [orders[name] for name in names]
        process = multiprocessing.get_context("spawn").Process(target=_apart, args=(launch, overrides, chosen, work))
        process.start()
        return process

    return start


def _apart(launch: Callable[..., None], *arguments: Any) -> None:
    """Runs a launcher out of reach of a terminal's Ctrl-C, which the sweep handles; it ends when the sweep does."""
    os.setsid()
    with LAUNCHER_LOG.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)

    processes.end_with_parent()
    launch(*arguments)
    for child in psutil.Process().children():  # joblib's workers would wait five minutes for more to do
        child.terminate()


def see_through(start: Start, names: Sequence[str], show: Show) -> None:
    """Runs jobs until each has a record of how it ended; `start` starts a launcher for jobs, in a process.

    Where a worker is killed joblib ends them all: the jobs that went down with it run once more, and the rest goes on.
    Raises UserError where a launcher ends without having begun any job.
    """
    for name in names:
        job_records.forget(name)
    tries = dict.fromkeys(names, 0)
    left = list(names)
    while left:
        _one_launch(start(left), left, show)
        before, left = left, [name for name in left if not _ended(name)]
        begun = [name for name in left if job_records.read(name)]
        if len(left) == len(before) and not begun:
            raise UserError(f"the launcher began no job: {_last_line()} (all of it: {LAUNCHER_LOG})")
        together = len(begun) > 1 and "TerminatedWorkerError" in LAUNCHER_LOG.read_text(errors="replace")
        for name in begun:
            tries[name] += 1
            if together and tries[name] < _TRIES:
                job_records.forget(name)
            else:
                _fail(name)
        left = [name for name in left if not _ended(name)]
        show()


def _one_launch(launcher: BaseProcess, names: Sequence[str], show: Show) -> None:
    """Waits until a launcher's process has ended and none of its jobs runs any more; an interrupt ends them all."""
    asked = time.monotonic()
    queue: list[str] = []
    over: float | None = None  # since when SLURM has none of our jobs left
    try:
        while launcher.is_alive() or slurm.waiting(queue) or any(_alive(n) for n in names):
            show()
            launcher.join(_LOOK_S)
            now = time.monotonic()
            if now - asked > _ASK_SLURM_S:
                asked, known = now, bool(queue)
                queue = slurm.states()
                gone = (known or bool(queue)) and not slurm.waiting(queue)
                over = (over or now) if gone else None
            if over and now - over > _GRACE_S:  # without accounts submitit waits for a killed job for ever
                end(launcher)
        show()
    except BaseException:
        end(launcher)
        slurm.cancel()
        raise


def _ended(name: str) -> bool:
    record = job_records.read(name)
    return record is not None and record.state != job_records.RUNNING


def _alive(name: str) -> bool:
    """Does a job still run, as far as this machine can tell?"""
    record = job_records.read(name)
    if record is None or record.state != job_records.RUNNING or record.host != socket.gethostname():
        return False
    try:
        process = psutil.Process(record.process)
        return bool(process.create_time() <= record.began and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _fail(name: str) -> None:
    record = job_records.read(name)
    if record is not None:
        reason = f"its process was killed while at {job_records.stage(name)}"
        job_records.write(
            replace(record, state=job_records.FAILED, reason=reason, seconds=round(job_records.elapsed(record), 1))
        )


def _last_line() -> str:
    lines = [line for line in LAUNCHER_LOG.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it wrote nothing"


def end(launcher: BaseProcess) -> None:
    """Kills a launcher and all that it started, stopped first so that nothing new is started meanwhile."""
    if launcher.pid is None:
        return
    known: dict[int, psutil.Process] = {}
    for _ in range(3):
        for process in _family(launcher.pid):
            known[process.pid] = process
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
    for process in known.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    launcher.join()


def _family(root: int) -> Iterator[psutil.Process]:
    """A process and its descendants, but for joblib's resource tracker, which tidies up when they are gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in [psutil.Process(root), *psutil.Process(root).children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                if "resource_tracker" not in " ".join(process.cmdline()):
                    yield process
