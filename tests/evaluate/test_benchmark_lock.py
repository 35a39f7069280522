"""One measurement at a time on a machine."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autocomplete.evaluate import benchmark_lock
from helpers.folders import ROOT

WORKER = """
import sys, time
from pathlib import Path
from autocomplete.evaluate import benchmark_lock
with benchmark_lock.exclusive():
    for event in ("began", "ended"):
        with Path("log").open("a") as log:
            log.write(f"{event} {sys.argv[1]}\\n")
        time.sleep(0.3)
"""


@pytest.fixture(autouse=True)
def own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_lock, "_LOCK", tmp_path / "timing")
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def worker(folder: Path, name: str, seconds: str = "0.3") -> subprocess.Popen[bytes]:
    """A measurement that writes into `log` of a folder when it begins and ends."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    script = WORKER.replace("0.3", seconds)
    return subprocess.Popen([sys.executable, "-c", script, name], cwd=folder, env=environment)


def test_one_after_another(tmp_path: Path) -> None:
    workers = [worker(tmp_path, name) for name in "abc"]
    assert [w.wait(timeout=60) for w in workers] == [0, 0, 0]
    log = (tmp_path / "log").read_text().splitlines()
    order = [line.removeprefix("began ") for line in log[::2]]
    assert sorted(order) == ["a", "b", "c"]
    assert log == [f"{event} {name}" for name in order for event in ("began", "ended")]


def test_the_measuring_process_is_named_while_it_lives() -> None:
    assert benchmark_lock.measuring_process() is None
    with benchmark_lock.exclusive():
        assert benchmark_lock.measuring_process() == os.getpid()
    assert benchmark_lock.measuring_process() is None
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    benchmark_lock._LOCK.with_suffix(".pid").write_text(str(dead.pid))
    assert benchmark_lock.measuring_process() is None


def test_a_wait_names_the_measuring_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark_lock, "_SAY_S", 0.2)
    other = worker(tmp_path, "x", seconds="1.5")
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("*.pid")) and time.monotonic() < deadline:
        time.sleep(0.05)
    monkeypatch.setattr(benchmark_lock, "_LOCK", next(tmp_path.glob("*.pid")).with_suffix(""))
    with benchmark_lock.exclusive():
        assert other.wait(timeout=30) == 0
    assert f"s to time alone: process {other.pid} ({sys.executable} -c" in capfd.readouterr().err


@pytest.mark.timeout(120)  # a lock that is never released would block forever
def test_a_killed_measurement_blocks_nobody(tmp_path: Path) -> None:
    killed = worker(tmp_path, "x", seconds="60")
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("*.pid")) and time.monotonic() < deadline:
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    benchmark_lock._LOCK = next(tmp_path.glob("*.pid")).with_suffix("")
    with benchmark_lock.exclusive():
        assert benchmark_lock.measuring_process() == os.getpid()


@pytest.mark.parametrize(("value", "share"), [("1", 1), ("8", 4), ("", 4), ("0", 4), ("two", 4)])
def test_share_of_cores(monkeypatch: pytest.MonkeyPatch, value: str, share: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert benchmark_lock.share_of_cores(4) == share
