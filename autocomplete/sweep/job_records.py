"""The record and the log of each job: files that every process and machine of a sweep can read."""

import re
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter

from autocomplete.common.artifacts import Gates, Metrics, Performance
from autocomplete.common.files import write_json

FOLDER = Path("artifacts/sweep/jobs")
JobState = Literal["running", "done", "failed"]
RUNNING: Final = "running"
DONE: Final = "done"
FAILED: Final = "failed"
_TAIL_BYTES = 20_000  # enough of a log's end to hold the last stage and the error
_EXIT_STATUS = re.compile(r"exited with (-?\d+)$")
_STAGE = re.compile(r"^(?:Running stage|Stage) '([^']+)'", re.MULTILINE)


@dataclass(frozen=True)
class ModeResult:
    """What a job measured of one mode, and the gates that judged it."""

    metrics: Metrics
    performance: Performance
    gates: Gates


@dataclass(frozen=True)
class JobRecord:
    """The state of a job that a worker has started.

    Attributes:
      name: the job's name, which is also its experiment's.
      state: running, done or failed.
      started_at: in seconds since the epoch.
      seconds: the job's duration; 0 while it runs.
      host: the machine of the worker.
      pid: the worker's process ID on that machine.
      reason: why the job failed.
      values: key of params.yaml → value that the sweep gave it.
      results: mode → its results.
    """

    name: str
    state: JobState
    started_at: float
    seconds: float = 0.0
    host: str = ""
    pid: int = 0
    reason: str = ""
    values: dict[str, str] = field(default_factory=dict)
    results: dict[str, ModeResult] = field(default_factory=dict)


_JSON = TypeAdapter(JobRecord)


def write(record: JobRecord) -> None:
    """Writes a job's record; a reader sees the old record or the new one."""
    write_json(_path(record.name), _JSON.dump_python(record, mode="json"))


def read(name: str) -> JobRecord | None:
    """Reads a job's record; returns None where the file is missing or not a record."""
    try:
        return _JSON.validate_json(_path(name).read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def delete(name: str) -> None:
    """Deletes a job's record, if there is one: the job then counts as not started."""
    _path(name).unlink(missing_ok=True)


def _path(name: str) -> Path:
    return FOLDER / f"{name}.json"


def log_path(name: str) -> Path:
    """Returns the path of a job's log, which DVC and the stages write to."""
    return FOLDER / f"{name}.log"


def current_stage(name: str) -> str:
    """Returns the stage that a job's log names last; "preparing" before the first."""
    stages = _STAGE.findall(_log_tail(name))
    return stages[-1] if stages else "preparing"


def failure_reason(name: str) -> str:
    """Returns the line of a job's log that explains its failure: the last of the stage, else of DVC, else of all."""
    lines = [line.strip() for line in _log_tail(name).splitlines() if line.strip()]
    for prefix in ("error: ", "ERROR: ", ""):
        matching = [line for line in lines if line.startswith(prefix)]
        if matching:
            return _EXIT_STATUS.sub(_signal_name, matching[-1].removeprefix(prefix))
    return "it wrote nothing"


def _signal_name(exit_status: re.Match[str]) -> str:
    """Replaces an exit status by the signal that it stands for: bash reports SIGKILL as -9, dash as 128 + 9."""
    status = int(exit_status[1])
    try:
        return f"killed by {signal.Signals(-status if status < 0 else status - 128).name}"
    except ValueError:
        return exit_status[0]


def elapsed_seconds(record: JobRecord) -> float:
    """Returns how long a job ran, or has run so far."""
    return time.time() - record.started_at if record.state == RUNNING else record.seconds


def _log_tail(name: str) -> str:
    try:
        with log_path(name).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
