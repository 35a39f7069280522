"""Sweeps of many jobs whose stages do nothing: what DVC, git and Hydra cost, and whether killed jobs are survived.

python -m tests.benchmarks.sweeps JOBS [KILLED]      one line of JSON; KILLED of the jobs are killed in the first call
"""

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, "tests")
import repositories
from repositories import Repository


def run(repository: Repository, jobs: int, killed: int) -> tuple[float, int, str]:
    """Seconds, exit status and the last line of one call, during which some jobs' processes are killed."""
    command = [sys.executable, "-m", "stages.sweep", "-m", f"convert.sequence_length=range(100,{100 + jobs})"]
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, cwd=repository.folder, env=repository.environment, stdout=subprocess.DEVNULL, stderr=errors
        )
        left = killed
        while process.poll() is None:
            time.sleep(random.uniform(1, 6) if left else 0.5)
            family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            running = [p for p in family if _is_job(p)]
            if left and running:
                random.choice(running).kill()
                left -= 1
        errors.seek(0)
        last = (errors.read().strip().splitlines() or ["nothing to do"])[-1]
    return round(time.monotonic() - began, 1), process.returncode, last


def _is_job(process: psutil.Process) -> bool:
    try:
        line = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
    return "sequence_length" in line and "exp run" in line


def main(jobs: int, killed: int = 0) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repository = repositories.make_fake(Path(folder) / "repository")
        calls = [run(repository, jobs, killed)]
        calls.append(run(repository, jobs, 0))  # runs what is missing, or nothing
        began = time.monotonic()
        repository.dvc("exp", "show", "--json")
        show = round(time.monotonic() - began, 1)
        checked = subprocess.run(
            [sys.executable, "-m", "stages.verify_cache"], cwd=repository.folder, env=repository.environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        rows = len((repository.folder / "artifacts/sweep/table.csv").read_text().splitlines()) - 1
        seconds = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(json.dumps({
            "jobs": jobs, "killed": killed, "calls": calls, "rows": rows, "exp_show_s": show,
            "cache": checked.stdout.strip().splitlines()[-1:], "load": psutil.getloadavg()[0],
            "processor_s": round(seconds.ru_utime + seconds.ru_stime),
        }))  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
