"""Sweeps of many jobs whose stages do nothing: what DVC, git and Hydra cost, and whether killed jobs are survived.

python -m tests.benchmarks.sweeps JOBS [--killed N] [--out FILE]

Prints JSON; FILE has what is known so far while jobs run. Processor time is user and system of all processes, which
neighbours on the machine hardly change; seconds are the wall's, and they do.
"""

import argparse
import contextlib
import functools
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from autocomplete.common.files import write_json

sys.path.insert(0, "tests")
from helpers import repositories
from helpers.repositories import Repository

STEPS = 10  # figures on the way
LOOK_S = 1.0


def sweep(repository: Repository, jobs: int, killed: int, note: Callable[[dict[str, Any]], None]) -> tuple[int, str]:
    """Exit status and last line of one call, during which processes of some jobs are killed; notes figures by step."""
    command = [sys.executable, "-m", "autocomplete", "sweep", f"convert.sequence_length=range(100,{100 + jobs})"]
    began, kill_at, left = time.monotonic(), time.monotonic() + random.uniform(4, 10), killed
    step, last = max(jobs // STEPS, 10), {"jobs": 0, "seconds": 0.0, "processor": 0.0, "own": 0.0}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, cwd=repository.folder, env=repository.environment, stdout=subprocess.DEVNULL, stderr=errors
        )
        while process.poll() is None:
            time.sleep(LOOK_S)
            if left and time.monotonic() > kill_at:
                left -= _kill_one(process.pid)
                kill_at = time.monotonic() + random.uniform(2, 7)
            begun = _begun(repository)
            if begun >= last["jobs"] + step:
                now = {"jobs": begun, "seconds": time.monotonic() - began, **_processor(process.pid)}
                note(_between(last, now) | {"tmp_mb": _size(repository.folder / ".dvc/tmp")[1]})
                last = now
        errors.seek(0)
        said = (errors.read().strip().splitlines() or ["nothing to do"])[-1]
    return process.returncode, said


def _between(last: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    """Figures a job between two looks; `own` is the part of the sweep's own process, which looks after the others."""
    count = now["jobs"] - last["jobs"]
    each = {f"{k}_a_job": round((now[k] - last[k]) / count, 3) for k in ("seconds", "processor", "own")}
    return {"jobs": now["jobs"], "seconds": round(now["seconds"], 1), **each, "load": round(psutil.getloadavg()[0], 1)}


def _begun(repository: Repository) -> int:
    names = (p.name for p in (repository.folder / "artifacts/sweep/jobs").glob("*.json"))
    return sum(not name.startswith("shared") for name in names)


def _processor(pid: int) -> dict[str, float]:
    """Processor seconds of a process and all that it started, those that ended included, and of itself alone."""
    total, own = 0.0, 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += sum(times[:4])  # user, system, and both of children that ended
                own += times.user + times.system if process == root else 0.0
    return {"processor": total, "own": own}


def _kill_one(pid: int) -> bool:
    """Kills a process of a job that runs, if there is one."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                line = " ".join(process.cmdline())
                found += [process] if "sequence_length" in line and "exp run" in line else []
        if found:
            random.choice(found).kill()
    return bool(found)


def timed(call: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Seconds and processor seconds of what a call waits for, and what it returns."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    result = call()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(time.monotonic() - began, 1), "processor": round(processor, 1)}, result


def _size(folder: Path) -> tuple[int, float]:
    """Files of a folder and their MB; 0 where there is none."""
    sizes = []
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            sizes += [path.lstat().st_size] if path.is_file() else []
    return len(sizes), round(sum(sizes) / 1e6, 1)


def afterwards(repository: Repository) -> dict[str, Any]:
    """What a repository with many experiments costs."""

    def show() -> dict[str, float]:
        return timed(lambda: repository.dvc("exp", "show", "--json"))[0]

    shown = {"first": show(), "again": show()}  # DVC keeps what it read of each experiment
    repository.git("pack-refs", "--all")
    shown["packed_refs"] = show()
    verify = [sys.executable, "-m", "autocomplete", "verify-cache"]
    checked, done = timed(
        lambda: subprocess.run(
            verify, cwd=repository.folder, env=repository.environment, capture_output=True, text=True, check=False
        )
    )
    places = {"git": ".git", "cache": ".dvc/cache", "run_cache": ".dvc/cache/runs", "tmp": ".dvc/tmp"}
    return {
        "refs": repository.git("for-each-ref", "refs/exps").count("\n"),
        "exp_show": shown,
        "verify_cache": checked,
        "cache": (done.stdout + done.stderr).strip().splitlines()[-1],
        "files_and_mb": {n: _size(repository.folder / p) for n, p in places.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", type=int)
    parser.add_argument("--killed", type=int, default=0, help="jobs whose process is killed in the first call")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {"jobs": options.jobs, "killed": options.killed, "steps": []}

    def note(step: dict[str, Any]) -> None:
        found["steps"].append(step)
        if options.out:
            write_json(options.out, found)

    with tempfile.TemporaryDirectory() as folder:
        repository = repositories.make_fake(Path(folder) / "repository")
        calls = {"first": (options.killed, note), "second": (0, lambda _: None)}  # runs what is missing, or nothing
        for call, (killed, told) in calls.items():
            cost, (status, said) = timed(functools.partial(sweep, repository, options.jobs, killed, told))
            found[call] = cost | {"status": status, "last_line": said}
        found["rows"] = len((repository.folder / "artifacts/sweep/table.csv").read_text().splitlines()) - 1
        found |= afterwards(repository)
    if options.out:
        write_json(options.out, found)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
