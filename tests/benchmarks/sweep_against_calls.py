"""Compares a sweep of eight jobs with the same eight `dvc exp run --temp` in sequence, around the toy preset.

python -m tests.benchmarks.sweep_against_calls     one line of JSON: seconds of both, their ratio, how often stages ran

The stages are real, with short measurements. Both start from a copy of the same repository, in which the pipeline has
run up to convert at one of the two lengths; performance is measured in both. The machine should be idle.
"""

import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

sys.path.insert(0, "tests")
from helpers import repositories
from helpers.repositories import Repository, ran
from helpers.toys import make_toy

MODES = ("float32", "float16", "dynamic_range", "full_integer")
LENGTHS = (48, 40)
WARM = "convert"  # with the values of params.yaml: the first length
TARGET = "validate"


def start(folder: Path) -> Repository:
    """The repository from which both start."""
    repository = repositories.make(make_toy(folder / "toy"), folder / "start")
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "start")
    done = repository.dvc("repro", WARM)
    assert ran(done.stdout) == {"author", "convert"}, done.stdout + done.stderr
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "warm")
    return repository


def calls(repository: Repository) -> tuple[float, str]:
    """Seconds of the calls, and their output."""
    output, started = [], time.monotonic()
    for mode, length in itertools.product(MODES, LENGTHS):
        values = ("-S", f"quantize.modes=[{mode}]", "-S", f"convert.sequence_length={length}")
        done = repository.dvc("exp", "run", "--temp", "--name", f"{mode.replace('_', '-')}-{length}", *values, TARGET)
        assert done.returncode == 0, done.stdout + done.stderr
        output.append(done.stdout + done.stderr)
    return time.monotonic() - started, "".join(output)


def sweep(repository: Repository) -> tuple[float, str]:
    """Seconds of the sweep, and its jobs' logs."""
    overrides = [f"quantize={','.join(MODES)}", f"convert.sequence_length={','.join(map(str, LENGTHS))}"]
    command = [sys.executable, "-m", "autocomplete", "sweep", *overrides]
    started = time.monotonic()
    with repository.folder.with_name("sweep.log").open("w+") as file:
        done = subprocess.run(command, cwd=repository.folder, env=repository.environment, stdout=file, stderr=file)
        file.seek(0)
        assert done.returncode == 0, file.read()
    seconds = time.monotonic() - started
    return seconds, "".join(p.read_text() for p in (repository.folder / "artifacts/sweep/jobs").glob("*.log"))


def times_run(output: str) -> dict[str, int]:
    """How often each stage ran, in any mode."""
    return dict(Counter(re.findall(r"Running stage '([a-z]+)", output)))


def measured(repository: Repository) -> int:
    """How many experiments have timings."""
    shown = json.loads(repository.dvc("exp", "show", "--json").stdout)
    experiments = [e["revs"][0]["data"]["metrics"] for branch in shown for e in branch["experiments"] or []]
    return sum(
        any("performance.json" in p and m["data"]["decode_tokens_per_s"] > 0 for p, m in metrics.items())
        for metrics in experiments
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        warm = start(Path(temporary))
        report: dict[str, object] = {"cores": psutil.cpu_count(), "load": round(psutil.getloadavg()[0], 2)}
        seconds = {}
        for name, run in (("calls", calls), ("sweep", sweep)):
            repository = repositories.copy(warm, warm.folder.with_name(name) / "repository")
            seconds[name], output = run(repository)
            stages = times_run(output)
            report[name] = {"seconds": round(seconds[name], 1), "stages": stages, "measured": measured(repository)}
            print(json.dumps({name: report[name]}), file=sys.stderr, flush=True)
        print(json.dumps(report | {"ratio": round(seconds["sweep"] / seconds["calls"], 3)}))


if __name__ == "__main__":
    main()
