"""Sweeps of many jobs whose stages do nothing: the cost of DVC, git and Hydra, and recovery from killed jobs.

python -m tests.benchmarks.sweeps JOBS [--killed N] [--out FILE]

Prints JSON; FILE has intermediate results while jobs run. Processor time is user and system time of all processes,
which other load on the machine hardly changes; seconds are wall time, which it does change.
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

STEPS = 10  # number of intermediate figures
LOOK_S = 1.0


def sweep(repository: Repository, jobs: int, killed: int, report: Callable[[dict[str, Any]], None]) -> tuple[int, str]:
    """Exit status and last line of one call, which kills processes of `killed` jobs; reports figures by step."""
    command = [sys.executable, "-m", "autocomplete", "sweep", f"convert.sequence_length=range(100,{100 + jobs})"]
    started, kill_at, remaining = time.monotonic(), time.monotonic() + random.uniform(4, 10), killed
    step, last = max(jobs // STEPS, 10), {"jobs": 0, "seconds": 0.0, "processor": 0.0, "own": 0.0}
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, cwd=repository.folder, env=repository.environment, stdout=subprocess.DEVNULL, stderr=errors
        )
        while process.poll() is None:
            time.sleep(LOOK_S)
            if remaining and time.monotonic() > kill_at:
                remaining -= _kill_one(process.pid)
                kill_at = time.monotonic() + random.uniform(2, 7)
            begun = _begun(repository)
            if begun >= last["jobs"] + step:
                now = {"jobs": begun, "seconds": time.monotonic() - started, **_processor(process.pid)}
                report(_between(last, now) | {"tmp_mb": _size(repository.folder / ".dvc/tmp")[1]})
                last = now
        errors.seek(0)
        last_line = (errors.read().strip().splitlines() or ["nothing to do"])[-1]
    return process.returncode, last_line


def _between(last: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    """Figures per job between two measurements; `own` is the part of the sweep's own process, which supervises jobs."""
    count = now["jobs"] - last["jobs"]
    each = {f"{k}_a_job": round((now[k] - last[k]) / count, 3) for k in ("seconds", "processor", "own")}
    return {"jobs": now["jobs"], "seconds": round(now["seconds"], 1), **each, "load": round(psutil.getloadavg()[0], 1)}


def _begun(repository: Repository) -> int:
    names = (p.name for p in (repository.folder / "artifacts/sweep/jobs").glob("*.json"))
    return sum(not name.startswith("shared") for name in names)


def _processor(pid: int) -> dict[str, float]:
    """Processor seconds of a process and all that it started, those that ended included, and of the process itself."""
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
    """Kills a process of a running job, if there is one."""
    candidates = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                line = " ".join(process.cmdline())
                candidates += [process] if "sequence_length" in line and "exp run" in line else []
        if candidates:
            random.choice(candidates).kill()
    return bool(candidates)


def timed(call: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Seconds and processor seconds of the child processes of a call, and its result."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    result = call()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(time.monotonic() - started, 1), "processor": round(processor, 1)}, result


def _size(folder: Path) -> tuple[int, float]:
    """Files of a folder and their MB; 0 where there is none."""
    sizes = []
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            sizes += [path.lstat().st_size] if path.is_file() else []
    return len(sizes), round(sum(sizes) / 1e6, 1)


def afterwards(repository: Repository) -> dict[str, Any]:
    """The cost of commands in a repository with many experiments."""

    def show() -> dict[str, float]:
        return timed(lambda: repository.dvc("exp", "show", "--json"))[0]

    shown = {"first": show(), "again": show()}  # DVC caches what it reads of each experiment
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
    results: dict[str, Any] = {"jobs": options.jobs, "killed": options.killed, "steps": []}

    def report(step: dict[str, Any]) -> None:
        results["steps"].append(step)
        if options.out:
            write_json(options.out, results)

    with tempfile.TemporaryDirectory() as folder:
        repository = repositories.make_fake(Path(folder) / "repository")
        calls = {"first": (options.killed, report), "second": (0, lambda _: None)}  # runs only missing jobs
        for call, (killed, report_step) in calls.items():
            cost, (status, last_line) = timed(functools.partial(sweep, repository, options.jobs, killed, report_step))
            results[call] = cost | {"status": status, "last_line": last_line}
        results["rows"] = len((repository.folder / "artifacts/sweep/table.csv").read_text().splitlines()) - 1
        results |= afterwards(repository)
    if options.out:
        write_json(options.out, results)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
