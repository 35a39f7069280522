"""One measurement at a time on a machine."""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autocomplete.evaluate import benchmark_lock

WORKER = """
import sys, time
from pathlib import Path
from autocomplete.evaluate import benchmark_lock
with benchmark_lock.alone():
    began = time.time(); time.sleep(0.3)
    Path(sys.argv[1]).write_text(f"{began} {time.time()}")
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_lock, "_PLACE", tmp_path / "timing")
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_one_after_another(tmp_path: Path) -> None:
    files = [tmp_path / str(i) for i in range(3)]
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, str(f)]) for f in files]
    assert [w.wait(timeout=60) for w in workers] == [0, 0, 0]
    spans = sorted(tuple(map(float, f.read_text().split())) for f in files)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_who_measures_is_said_while_it_lives() -> None:
    assert benchmark_lock.measuring() is None
    with benchmark_lock.alone():
        assert benchmark_lock.measuring() == os.getpid()
    assert benchmark_lock.measuring() is None
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    benchmark_lock._PLACE.with_suffix(".pid").write_text(str(dead.pid))
    assert benchmark_lock.measuring() is None


def test_a_killed_measurement_blocks_nobody(tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", WORKER.replace("0.3", "60"), str(tmp_path / "x")])
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("*.pid")) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker.kill()
    worker.wait()
    began = time.monotonic()
    benchmark_lock._PLACE = next(tmp_path.glob("*.pid")).with_suffix("")
    with benchmark_lock.alone():
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(("said", "share"), [("1", 1), ("8", 4), ("", 4), ("0", 4), ("two", 4)])
def test_share_of_cores(monkeypatch: pytest.MonkeyPatch, said: str, share: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert benchmark_lock.share_of_cores(4) == share
