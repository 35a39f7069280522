"""A job runs in its own folder, whatever an earlier attempt left there."""

import fcntl
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from autocomplete.sweep import job_records, runner, snapshot
from autocomplete.sweep.jobs import Job, JobOrder
from helpers import repositories

# DVC and a stage continue when their worker is killed
ORPHAN = """
import time
from pathlib import Path
while True:
    Path("artifacts/author").mkdir(parents=True, exist_ok=True)
    Path("artifacts/author/written").write_text("by nobody's child")
    print(flush=True)
    time.sleep(0.001)
"""


def own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_processes_of_a_killed_worker_are_ended_but_no_user_s_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = repositories.make_fake(tmp_path / "repository")
    monkeypatch.chdir(repository.folder)
    for name, value in repository.environment.items():
        monkeypatch.setenv(name, value)
    folder = runner.SCRATCH / "float32-abc"
    folder.mkdir(parents=True)
    terminal, shell = pty.openpty()
    user_shell = subprocess.Popen(["sh"], cwd=folder, stdin=shell, start_new_session=True, preexec_fn=own_terminal)
    orphan = subprocess.Popen(
        [sys.executable, "-c", ORPHAN], cwd=folder, stdout=subprocess.PIPE, start_new_session=True
    )
    assert orphan.stdout is not None
    orphan.stdout.readline()
    job = Job(folder.name, {}, ("convert",))
    runner.run_job(JobOrder(job, snapshot.take(), snapshot.cache_folder(), pull=False))
    record = job_records.read(folder.name)
    assert record is not None
    assert record.state == job_records.DONE, record.reason
    orphan.wait(timeout=10)  # it never ends by itself
    assert user_shell.poll() is None
    os.close(terminal)
    user_shell.kill()
    assert not folder.exists()
