"""Processes beside another, which end with it."""

import subprocess
import sys
import time

import psutil
import pytest

SCRIPT = """
import os, time
from autocomplete.common import processes

if __name__ == "__main__":
    beside = processes.pool(2, time.sleep, (0,), forked={forked})
    worker = beside.submit(os.getpid).result()
    beside.submit(time.sleep, 60), beside.submit(time.sleep, 60)
    print(worker, flush=True)
    {then}
"""


@pytest.mark.parametrize("forked", [True, False])
@pytest.mark.parametrize("then", ["time.sleep(60)", "pass"])
def test_processes_end_with_their_parent(forked: bool, then: str) -> None:
    """Killed at work, or at the end of the script, while it waits for the pool."""
    script = SCRIPT.format(forked=forked, then=then)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        started = psutil.Process(parent.pid).children()
        assert worker in [p.pid for p in started] and len(started) >= 2  # one may be Python's own
        parent.kill()
    deadline = time.monotonic() + 30
    while any(map(at_work, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(at_work, started))


def at_work(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
