"""A killed stage does not count as done."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from helpers import repositories
from helpers.repositories import Repository, Run

pytestmark = [pytest.mark.slow, pytest.mark.network]


@pytest.fixture
def repository(first: Run, tmp_path: Path) -> Repository:
    """A copy of the first run's repository, with float32."""
    return repositories.copy(first.repository, tmp_path / "repository")


def runs(process: subprocess.Popen[bytes], module: str) -> bool:
    """Whether a process has started another that runs a module."""
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if module in child.cmdline():
                return True
    return False


@pytest.mark.parametrize("moment", ["start", "half-written", "written"])
def test_a_killed_stage_does_not_count_as_done(repository: Repository, moment: str) -> None:
    convert = repository.folder / "artifacts/convert"
    if moment == "written":
        # what DVC leaves when it dies between the command's end and the lock's writing
        repository.edit("params.yaml", "sequence_length: 48", "sequence_length: 44")
        subprocess.run(
            ["python", "-m", "stages.convert"], cwd=repository.folder, env=repository.environment, check=True
        )
    else:
        repository.edit("params.yaml", "sequence_length: 48", "sequence_length: 44")
        process = subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro", "convert"],
            cwd=repository.folder,
            env=repository.environment,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        partial = convert.with_name(".convert.partial")
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            # not as soon as the old result is gone: DVC then writes its own files, and not atomically
            if partial.exists() if moment == "half-written" else runs(process, "stages.convert"):
                break
            time.sleep(0.02)
        assert process.poll() is None, process.stdout and process.stdout.read()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert repository.pending("convert") == {"convert"}
    repository.edit("params.yaml", "sequence_length: 44", "sequence_length: 48")
    assert repository.repro() == set()  # earlier results come back from the cache
