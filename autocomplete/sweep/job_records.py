"""What is known of each job, in files that any process and machine of a sweep can read."""

import json
import re
import signal
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from autocomplete.common.files import write_json

FOLDER = Path("artifacts/sweep/jobs")
RUNNING, DONE, FAILED = "running", "done", "failed"
_TAIL = 20_000  # bytes of a log that tell what happened last
_EXIT = re.compile(r"exited with (-?\d+)$")
_STAGE = re.compile(r"^(?:Running stage|Stage) '([^']+)'", re.MULTILINE)


@dataclass(frozen=True)
class Record:
    """A job as it stands: seconds since the epoch, why it failed, and metrics.json and performance.json by mode."""

    name: str
    state: str
    began: float
    seconds: float = 0.0
    host: str = ""
    process: int = 0
    reason: str = ""
    values: dict[str, str] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)


def write(record: Record) -> None:
    """Writes a job's record in one piece."""
    write_json(FOLDER / f"{record.name}.json", asdict(record))


def read(name: str) -> Record | None:
    """A job's record; None where there is none, or none that can be read."""
    try:
        return Record(**json.loads((FOLDER / f"{name}.json").read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def forget(name: str) -> None:
    """Drops a job's record, so that it counts as not begun."""
    (FOLDER / f"{name}.json").unlink(missing_ok=True)


def log(name: str) -> Path:
    """Where DVC and the stages of a job write."""
    return FOLDER / f"{name}.log"


def stage(name: str) -> str:
    """The stage that a job's log spoke of last."""
    found = _STAGE.findall(_tail(name))
    return found[-1] if found else "preparing"


def why(name: str) -> str:
    """The line of a job's log that says best what went wrong: the stage's own, else DVC's, else the last."""
    lines = [line.strip() for line in _tail(name).splitlines() if line.strip()]
    for mark in ("error: ", "ERROR: ", ""):
        found = [line for line in lines if line.startswith(mark)]
        if found:
            return _EXIT.sub(_signal, found[-1].removeprefix(mark))
    return "it wrote nothing"


def _signal(ended: re.Match[str]) -> str:
    """A status as a signal's name where it is one: bash gives a killed command's as -9, dash as 128 + 9."""
    status = int(ended[1])
    try:
        return f"killed by {signal.Signals(-status if status < 0 else status - 128).name}"
    except ValueError:
        return ended[0]


def elapsed(record: Record) -> float:
    """Seconds that a job ran, or has run so far."""
    return time.time() - record.began if record.state == RUNNING else record.seconds


def _tail(name: str) -> str:
    try:
        with log(name).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
