"""Runs one job of a sweep as a DVC experiment, in a clone of its own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import yaml

from autocomplete.common import artifacts
from autocomplete.common.files import read_json
from autocomplete.evaluate import benchmark_lock
from autocomplete.sweep import job_records, snapshot
from autocomplete.sweep.jobs import Job
from autocomplete.sweep.snapshot import Snapshot

SCRATCH = Path(".dvc/tmp/sweep")
_ORPHANS_S = 10.0  # a killed process is gone within
_OF_A_STAGE = ("failed to run", "error: ")  # in a log: not DVC's own trouble, which a second try may not have


def work(job: dict[str, Any]) -> None:
    """Runs a job and writes its record; how a job ends is no exception, as a launcher would stop the others for it.

    `job` holds what `order` says. A process that is killed leaves a record that says "running".
    """
    began = job_records.Record(job["name"], job_records.RUNNING, time.time(), 0.0, socket.gethostname(), os.getpid())
    began = replace(began, values=job["values"])
    job_records.write(began)
    folder = SCRATCH / job["name"]
    try:
        results = _experiment(job, folder)
        ended = replace(began, state=job_records.DONE, results=results)
    except (subprocess.CalledProcessError, OSError, ValueError, KeyError) as error:
        reason = job_records.why(job["name"]) if isinstance(error, _Failed) else " ".join(str(error).split())
        ended = replace(began, state=job_records.FAILED, reason=_killed(error) or reason)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    job_records.write(replace(ended, seconds=round(time.time() - began.began, 1)))


def order(job: Job, start: Snapshot, cache: Path, pull: bool) -> dict[str, Any]:
    """A job in plain values, as launchers carry it to other processes; `pull` takes results that a remote has."""
    return asdict(job) | asdict(start) | {"cache": str(cache), "pull": pull}


class _Failed(subprocess.CalledProcessError):
    """`dvc exp run` ended otherwise than by 0."""


def _experiment(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The results by mode of a job's experiment, which is in this repository afterwards, if it is to be kept."""
    settings = [part for key, value in job["values"].items() for part in ("-S", f"{key}={value}")]
    pull = ["--pull"] if job["pull"] else []
    command = [sys.executable, "-m", "dvc", "exp", "run", *pull, "--name", job["name"], *settings, *job["targets"]]
    log = job_records.log(job["name"])
    log.unlink(missing_ok=True)
    _end_orphans(folder)
    for attempt in (1, 2):
        snapshot.clone(Snapshot(job["head"], job["tree"]), folder, Path(job["cache"]))
        with log.open("ab") as file:
            status = _run(command, folder, file)
        if status == 0:
            break
        stage_s_own = any(mark in log.read_text(errors="replace") for mark in _OF_A_STAGE)
        if status < 0 or stage_s_own or attempt == 2:
            raise _Failed(status, command)
    if not job["kept"]:
        return {}
    results = _results(folder)
    snapshot.bring_back(folder, job["head"], job["name"])
    return results


def _run(command: list[str], folder: Path, log: Any) -> int:
    """The exit status of a command in a session of its own, which stands still while another process measures speed."""
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    environment = os.environ | {"PATH": os.pathsep.join(places)}
    threads = environment.get("OMP_NUM_THREADS")  # joblib's share of the cores for each job, or a cluster's
    if threads:
        environment |= {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads}
    child = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    stopped = False
    try:
        while True:
            try:
                return child.wait(timeout=benchmark_lock.LOOK_S)
            except subprocess.TimeoutExpired:
                wanted = _other_measures(child.pid)
            if wanted != stopped:
                os.killpg(child.pid, signal.SIGSTOP if wanted else signal.SIGCONT)
                stopped = wanted
    finally:
        _end(child.pid)


def _other_measures(session: int) -> bool:
    process = benchmark_lock.measuring()
    try:
        return process is not None and os.getpgid(process) != session
    except ProcessLookupError:
        return False


def _end(session: int) -> None:
    """Ends what may be left of a command: a stage lives on when DVC is killed."""
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        return


def _end_orphans(folder: Path) -> None:
    """Ends what works in a folder since its worker was killed: DVC and a stage live on, and would write among ours.

    Neither has a terminal; somebody's shell that looks at the folder has, and is left alone.
    """
    place, found = str(folder.absolute()), []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if f"{process.cwd()}/".startswith(f"{place}/") and process.terminal() is None:
                process.kill()
                found.append(process)
    psutil.wait_procs(found, timeout=_ORPHANS_S)


def _results(folder: Path) -> dict[str, Any]:
    """metrics.json, performance.json and gates.json of each mode that the experiment judged."""
    made = folder / "artifacts"
    modes = yaml.safe_load((folder / "params.yaml").read_text())["quantize"]["modes"]
    return {
        mode: {
            "metrics": read_json(made / "validate" / mode / artifacts.METRICS),
            "performance": read_json(made / "validate" / mode / artifacts.PERFORMANCE),
            "gates": read_json(made / "judge" / mode / artifacts.GATES),
        }
        for mode in modes
        if (made / "judge" / mode).is_dir()
    }


def _killed(error: Exception) -> str:
    if isinstance(error, _Failed) and error.returncode < 0:
        return f"killed by {signal.Signals(-error.returncode).name}"
    return ""
