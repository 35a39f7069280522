"""Runs jobs by a launcher until each has ended, even where processes are killed."""

import contextlib
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing.process import BaseProcess

import psutil

from autocomplete.common import processes
from autocomplete.common.errors import UserError
from autocomplete.sweep import job_records, slurm
from autocomplete.sweep.job_records import FAILED, RUNNING
from autocomplete.sweep.jobs import JobOrder

LAUNCHER_LOG = job_records.FOLDER / "launcher.log"
_POLL_S, _SLURM_POLL_S = 0.5, 5.0
_SLURM_GRACE_S = 30.0  # between the last job's end in SLURM's queue and that of the launcher
_ATTEMPTS = 2  # for a job that ended with another's worker
StartLauncher = Callable[[Sequence[str]], BaseProcess]
RunJob = Callable[[JobOrder], None]
Launch = Callable[[list[str], Sequence[JobOrder], RunJob], None]


def starter(launch: Launch, overrides: list[str], orders: Mapping[str, JobOrder], run_job: RunJob) -> StartLauncher:
    """Returns a function that starts `launch(overrides, orders, run_job)` for jobs by name, in a process of its own."""

    def start(names: Sequence[str]) -> BaseProcess:
        LAUNCHER_LOG.parent.mkdir(parents=True, exist_ok=True)
        arguments = (launch, overrides, [orders[name] for name in names], run_job)
        process = multiprocessing.get_context("spawn").Process(target=_launch_detached, args=arguments)
        process.start()
        return process

    return start


def _launch_detached(launch: Launch, overrides: list[str], orders: Sequence[JobOrder], run_job: RunJob) -> None:
    """Runs a launcher in a session of its own: a terminal's Ctrl-C does not reach it; it ends when the sweep ends."""
    os.setsid()
    with LAUNCHER_LOG.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)

    processes.end_with_parent()
    launch(overrides, orders, run_job)
    for child in psutil.Process().children():  # joblib's workers wait five minutes for more to do
        child.terminate()


def run_until_ended(start: StartLauncher, names: Sequence[str], show: Callable[[], None]) -> None:
    """Runs jobs until each has a record of its end.

    Where a worker is killed joblib ends all workers. The jobs that ended with it run once more; the others go on.

    Args:
      start: starts a launcher for jobs by name, in a process.
      names: of the jobs.
      show: shows the progress.

    Raises:
      UserError: where a launcher ends without having started a job.
    """
    for name in names:
        job_records.delete(name)
    attempts = dict.fromkeys(names, 0)
    remaining = list(names)
    while remaining:
        launched = remaining
        _wait_for_launcher(start(launched), launched, show)
        remaining = [name for name in launched if not _has_ended(name)]
        interrupted = [name for name in remaining if job_records.read(name)]
        if len(remaining) == len(launched) and not interrupted:
            raise UserError(f"the launcher began no job: {_last_log_line()} (all of it: {LAUNCHER_LOG})")
        ended_together = len(interrupted) > 1 and "TerminatedWorkerError" in LAUNCHER_LOG.read_text(errors="replace")
        for name in interrupted:
            attempts[name] += 1
            if ended_together and attempts[name] < _ATTEMPTS:
                job_records.delete(name)
            else:
                _record_killed(name)
        remaining = [name for name in remaining if not _has_ended(name)]
        show()


def _wait_for_launcher(launcher: BaseProcess, names: Sequence[str], show: Callable[[], None]) -> None:
    """Waits until a launcher's process and all of its jobs have ended; an interrupt kills them."""
    last_slurm_poll = time.monotonic()
    queue: list[str] = []
    queue_empty_since: float | None = None
    try:
        while launcher.is_alive() or slurm.any_unfinished(queue) or any(map(_is_running, names)):
            show()
            launcher.join(_POLL_S)
            now = time.monotonic()
            if now - last_slurm_poll > _SLURM_POLL_S:
                last_slurm_poll, had_jobs = now, bool(queue)
                queue = slurm.job_states()
                all_ended = (had_jobs or bool(queue)) and not slurm.any_unfinished(queue)
                queue_empty_since = (queue_empty_since or now) if all_ended else None
            if queue_empty_since and now - queue_empty_since > _SLURM_GRACE_S:
                kill_tree(launcher)  # without accounting submitit waits for a killed job for ever
        show()
    except BaseException:
        kill_tree(launcher)
        slurm.cancel_jobs()
        raise


def _has_ended(name: str) -> bool:
    record = job_records.read(name)
    return record is not None and record.state != RUNNING


def _is_running(name: str) -> bool:
    """Whether a job's worker lives on this machine; another machine's cannot be seen."""
    record = job_records.read(name)
    if record is None or record.state != RUNNING or record.host != socket.gethostname():
        return False
    try:
        process = psutil.Process(record.pid)
        # A process that is younger than the record has taken over the worker's ID.
        return bool(process.create_time() <= record.started_at and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _record_killed(name: str) -> None:
    """Writes into a job's record that its process was killed."""
    record = job_records.read(name)
    if record is not None:
        reason = f"its process was killed while at {job_records.current_stage(name)}"
        seconds = round(job_records.elapsed_seconds(record), 1)
        job_records.write(replace(record, state=FAILED, reason=reason, seconds=seconds))


def _last_log_line() -> str:
    lines = [line for line in LAUNCHER_LOG.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it wrote nothing"


def kill_tree(launcher: BaseProcess) -> None:
    """Kills a launcher and its descendants; it stops them first, so that they start nothing meanwhile."""
    if launcher.pid is None:
        return
    tree: dict[int, psutil.Process] = {}
    for _ in range(3):  # a process may start another before it is stopped
        for process in _descendants(launcher.pid):
            tree[process.pid] = process
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
    for process in tree.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    launcher.join()


def _descendants(root: int) -> Iterator[psutil.Process]:
    """Yields a process and its descendants, but for joblib's resource tracker, which deletes what they leave behind."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in [psutil.Process(root), *psutil.Process(root).children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                if "resource_tracker" not in " ".join(process.cmdline()):
                    yield process
