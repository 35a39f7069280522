"""Worker processes, which end with their parent."""

import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from autocomplete.common import processes
from autocomplete.common.errors import UserError

SCRIPT = """
import os, time
from autocomplete.common import processes

if __name__ == "__main__":
    pool = processes.pool(2, time.sleep, (0,), forked={forked})
    worker = pool.submit(os.getpid).result()
    pool.submit(time.sleep, 60), pool.submit(time.sleep, 60)
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


def fail() -> None:
    raise UserError("no such file; make it")


def test_parts_run_in_processes_and_come_back_in_their_order() -> None:
    parts: dict[str, Callable[[], object]] = {"slow": functools.partial(sum, range(10**7)), "pid": os.getpid}
    parts["power"] = functools.partial(pow, 2, 5)
    results = processes.run_parts("parts", parts, 2)
    assert list(results) == list(parts)
    assert results["power"].value == 32
    assert results["pid"].value != os.getpid()
    assert results["slow"].seconds > results["power"].seconds >= 0


def test_a_part_that_fails_ends_the_others(tmp_path: Path) -> None:
    pending = {str(i): functools.partial(Path.touch, tmp_path / str(i)) for i in range(50)}
    with pytest.raises(UserError, match="no such file; make it"):
        processes.run_parts("parts", {"bad": fail, "wait": functools.partial(time.sleep, 0.2), **pending}, 2)
    assert len(list(tmp_path.iterdir())) < 50
