"""Runs one job of a sweep as a DVC experiment, in a clone of its own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import psutil
import yaml

from autocomplete.common import artifacts
from autocomplete.common.artifacts import Gates, Metrics, Performance
from autocomplete.common.errors import UserError
from autocomplete.evaluate import benchmark_lock
from autocomplete.sweep import job_records, snapshot
from autocomplete.sweep.job_records import JobRecord, ModeResult
from autocomplete.sweep.jobs import JobOrder

SCRATCH = Path(".dvc/tmp/sweep")
_KILL_TIMEOUT_S = 10.0
_ATTEMPTS = 2  # to run an experiment, where DVC itself fails
_STAGE_FAILURE_MARKS = ("failed to run", "error: ")  # in a log: a stage failed, and would fail again


def run_job(order: JobOrder) -> None:
    """Runs a job and writes its record.

    A failure goes into the record and is not raised: a launcher would end the other jobs for it. A worker that is
    killed leaves the record in the state "running".
    """
    job = order.job
    started = JobRecord(job.name, job_records.RUNNING, time.time(), host=socket.gethostname(), pid=os.getpid())
    started = replace(started, values=job.values)
    job_records.write(started)
    clone = SCRATCH / job.name
    try:
        ended = replace(started, state=job_records.DONE, results=_run_experiment(order, clone))
    except _ExperimentError as error:
        reason = _killing_signal(error) or job_records.failure_reason(job.name)
        ended = replace(started, state=job_records.FAILED, reason=reason)
    except (subprocess.CalledProcessError, UserError, OSError, ValueError, KeyError) as error:
        ended = replace(started, state=job_records.FAILED, reason=" ".join(str(error).split()))
    finally:
        shutil.rmtree(clone, ignore_errors=True)
    job_records.write(replace(ended, seconds=round(time.time() - started.started_at, 1)))


class _ExperimentError(subprocess.CalledProcessError):
    """`dvc exp run` ended with another status than 0."""


def _run_experiment(order: JobOrder, clone: Path) -> dict[str, ModeResult]:
    """Runs a job in a clone; fetches its experiment and returns its results by mode, if the job saves one."""
    job = order.job
    settings = [part for key, value in job.values.items() for part in ("-S", f"{key}={value}")]
    options = [*(["--pull"] if order.pull else []), "--name", job.name, *settings]
    command = [sys.executable, "-m", "dvc", "exp", "run", *options, *job.targets]
    log = job_records.log_path(job.name)
    log.unlink(missing_ok=True)
    _kill_orphans(clone)
    for attempt in range(1, _ATTEMPTS + 1):
        snapshot.clone(order.snapshot, clone, order.cache)
        with log.open("ab") as file:
            status = _run_command(command, clone, file)
        if status == 0:
            break
        stage_failed = any(mark in log.read_text(errors="replace") for mark in _STAGE_FAILURE_MARKS)
        if status < 0 or stage_failed or attempt == _ATTEMPTS:
            raise _ExperimentError(status, command)
    if not job.saves_experiment:
        return {}
    results = _read_results(clone)
    snapshot.fetch_experiment(clone, order.snapshot.head, job.name)
    return results


def _run_command(command: list[str], folder: Path, log: BinaryIO) -> int:
    """Runs a command in a session of its own and returns its exit status.

    The session is stopped (SIGSTOP) while a process of another session measures speed.
    """
    search_path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = os.environ | {"PATH": search_path}
    threads = environment.get("OMP_NUM_THREADS")  # the job's share of the cores, set by joblib or by a cluster
    if threads:
        environment |= {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads}
    child = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    stopped = False
    try:
        while True:
            try:
                return child.wait(timeout=benchmark_lock.POLL_S)
            except subprocess.TimeoutExpired:
                must_stop = _another_session_measures(child.pid)
            if must_stop != stopped:
                os.killpg(child.pid, signal.SIGSTOP if must_stop else signal.SIGCONT)
                stopped = must_stop
    finally:
        _kill_session(child.pid)


def _another_session_measures(session: int) -> bool:
    measuring_pid = benchmark_lock.measuring_process()
    try:
        return measuring_pid is not None and os.getpgid(measuring_pid) != session
    except ProcessLookupError:
        return False


def _kill_session(session: int) -> None:
    """Kills what is left of a session: a stage outlives DVC where that is killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


def _kill_orphans(folder: Path) -> None:
    """Kills the processes that a killed worker left running in a folder: they would write among this job's files.

    DVC and its stages have no terminal. A shell in the folder has one and is left alone.
    """
    prefix, killed = f"{folder.absolute()}/", []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if f"{process.cwd()}/".startswith(prefix) and process.terminal() is None:
                process.kill()
                killed.append(process)
    psutil.wait_procs(killed, timeout=_KILL_TIMEOUT_S)


def _read_results(clone: Path) -> dict[str, ModeResult]:
    """Reads what the stages wrote of each mode that was judged."""
    validated, judged = clone / "artifacts/validate", clone / "artifacts/judge"
    modes: list[str] = yaml.safe_load((clone / "params.yaml").read_text())["quantize"]["modes"]
    return {
        mode: ModeResult(
            Metrics.read(validated / mode / artifacts.METRICS),
            Performance.read(validated / mode / artifacts.PERFORMANCE),
            Gates.read(judged / mode / artifacts.GATES),
        )
        for mode in modes
        if (judged / mode).is_dir()
    }


def _killing_signal(error: subprocess.CalledProcessError) -> str:
    """Says which signal killed a command; empty where none did."""
    return f"killed by {signal.Signals(-error.returncode).name}" if error.returncode < 0 else ""
