"""Processes beside another, which end with it."""

import subprocess
import sys
import time

import psutil
import pytest

SCRIPT = """
import os, time
from stages import processes

if __name__ == "__main__":
    beside = processes.pool(1, time.sleep, (0,), forked={forked})
    worker = beside.submit(os.getpid).result()
    beside.submit(time.sleep, 60)
    print(worker, flush=True)
    {then}
"""


@pytest.mark.parametrize("forked", [True, False])
@pytest.mark.parametrize("then", ["time.sleep(60)", "pass"])
def test_a_process_ends_with_its_parent(forked: bool, then: str) -> None:
    """Killed, or, at the end of the script, interrupted while it waits for the pool."""
    script = SCRIPT.format(forked=forked, then=then)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        assert worker.ppid() == parent.pid
        parent.kill()
    deadline = time.monotonic() + 30
    while at_work(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not at_work(worker)


def at_work(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
