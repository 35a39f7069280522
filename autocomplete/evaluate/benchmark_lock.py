"""Speed is measured by one process at a time on a machine; others are told, so that they can stand still."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from filelock import FileLock

_PLACE = Path(tempfile.gettempdir()) / f"autocomplete-{os.getuid()}-timing"  # one for each machine, not for a cluster
_NOTICE_S = 0.6  # those who look every LOOK_S have seen it by then
LOOK_S = 0.2


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Waits for its turn, says which process measures, and gives those who heed it (a sweep's jobs) time to stop."""
    said = _PLACE.with_suffix(".pid")
    with FileLock(_PLACE.with_suffix(".lock")):
        said.write_text(str(os.getpid()))
        try:
            time.sleep(_NOTICE_S)
            yield
        finally:
            said.unlink(missing_ok=True)


def share_of_cores(wanted: int) -> int:
    """As many as wanted, but no more than a launcher of many jobs leaves each of them (OMP_NUM_THREADS)."""
    share = os.environ.get("OMP_NUM_THREADS", "")
    return min(wanted, int(share)) if share.isdigit() and int(share) else wanted


def measuring() -> int | None:
    """The process that measures on this machine now; one that was killed does not count."""
    try:
        process = int(_PLACE.with_suffix(".pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return process if psutil.pid_exists(process) else None
