"""A sweep on a real SLURM cluster, without accounts: its queue reports what submitit cannot know of a killed job."""

import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from helpers import cluster, repositories
from helpers.cluster import Cluster
from helpers.repositories import Repository

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

ARGUMENTS = (
    "quantize=float32,float16,dynamic_range",
    "hydra/launcher=submitit_slurm",
    "hydra.launcher.cpus_per_task=1",
    "hydra.launcher.mem_gb=null",
    "hydra.launcher.timeout_min=10",
)


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Cluster]:
    with cluster.running(tmp_path / "slurm") as running:
        yield running


def started(repository: Repository, slurm: Cluster, seconds: str) -> subprocess.Popen[str]:
    environment = repository.environment | {"SLURM_CONF": slurm.environment["SLURM_CONF"], "FAKE_SECONDS": seconds}
    return subprocess.Popen(
        [sys.executable, "-m", "autocomplete", "sweep", *ARGUMENTS],
        cwd=repository.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_three_modes_one_cancelled_and_run_again(slurm: Cluster, tmp_path: Path) -> None:
    repository = repositories.make_fake(tmp_path / "repository")
    process = started(repository, slurm, "4")
    log = tmp_path / "ran.log"
    deadline = time.monotonic() + 200
    while "quantize float16" not in (log.read_text() if log.exists() else ""):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    # SIGKILL, as SLURM sends it in the end: nothing in the job can say what happened
    (record,) = (repository.folder / "artifacts/sweep/jobs").glob("float16-*.json")
    jobs = slurm.ask("squeue", "--noheader", "--states=RUNNING", "--array", "--format=%i").split()
    marked = [job for job in jobs if job == array_task(record)]
    assert len(marked) == 1, jobs
    slurm.ask("scancel", "--signal=KILL", "--full", marked[0])
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 1, output + errors
    assert "failed: float16-" in errors
    assert "killed" in next(line for line in errors.splitlines() if line.startswith("failed: "))
    assert "Warning" not in errors
    assert errors.splitlines()[-1] == "error: 1 of 3 jobs failed; the same command runs them again"

    process = started(repository, slurm, "0")
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, output + errors
    assert "3 jobs, 2 of them done before" in output
    rows = csv.DictReader((repository.folder / "artifacts/sweep/table.csv").open())
    assert {row["mode"] for row in rows} == {"float32", "float16", "dynamic_range"}


def array_task(record: Path) -> str:
    """SLURM's name of the job that runs a sweep's job."""
    environment = psutil.Process(json.loads(record.read_text())["pid"]).environ()
    return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
