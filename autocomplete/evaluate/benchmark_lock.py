"""A lock of the machine: one process at a time measures speed, and others see it and can pause."""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

# Without its ending. In the machine's own temporary folder: a cluster's machines may share other folders.
_LOCK = Path(tempfile.gettempdir()) / f"autocomplete-{os.getuid()}-timing"
POLL_S = 0.2  # how often a process that pauses for others calls `measuring_process`
_NOTICE_S = 0.6  # after which such processes have paused
_SAY_S = 4.0  # between lines about a wait
_SHOWN_CHARACTERS = 80  # of a command


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """Waits for the lock, names this process as the one that measures, and gives others time to pause."""
    pid_file = _LOCK.with_suffix(".pid")
    with _acquired(FileLock(_LOCK.with_suffix(".lock"))):
        pid_file.write_text(str(os.getpid()))
        try:
            time.sleep(_NOTICE_S)
            yield
        finally:
            pid_file.unlink(missing_ok=True)


@contextlib.contextmanager
def _acquired(lock: FileLock) -> Iterator[None]:
    """Waits for the lock, and says every _SAY_S seconds who holds it."""
    start = time.monotonic()
    while True:
        try:
            with lock.acquire(timeout=_SAY_S):
                yield
                return
        except Timeout:
            waited = round(time.monotonic() - start)
            print(f"waiting for {waited} s to time alone: {_holder()}", file=sys.stderr, flush=True)


def _holder() -> str:
    """The process that measures, by id and command."""
    pid = measuring_process()
    try:
        command = "" if pid is None else " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        command = ""
    return (
        f"process {pid} ({command[:_SHOWN_CHARACTERS]}) measures" if command else "another process is about to measure"
    )


def measuring_process() -> int | None:
    """The id of the process that measures on this machine now; None also where that process was killed."""
    try:
        process = int(_LOCK.with_suffix(".pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return process if psutil.pid_exists(process) else None


def share_of_cores(threads: int) -> int:
    """A number of threads, lowered to the cores that a launcher of many jobs gives to each (OMP_NUM_THREADS)."""
    share = os.environ.get("OMP_NUM_THREADS", "")
    return min(threads, int(share)) if share.isdigit() and int(share) else threads
