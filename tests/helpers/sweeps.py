"""Sweeps in a repository, and the results of their jobs."""

import csv
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import psutil

from helpers.repositories import Repository


def sweep(repository: Repository, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return repository.python("autocomplete", "sweep", *arguments, **environment)


def ran(repository: Repository) -> Counter[str]:
    """How often each stage ran, by name."""
    log = repository.folder.with_name("ran.log")
    return Counter(line.split()[0] for line in log.read_text().splitlines()) if log.exists() else Counter()


def table(repository: Repository) -> list[dict[str, str]]:
    return list(csv.DictReader((repository.folder / "artifacts/sweep/table.csv").open()))


def shown(repository: Repository) -> dict[str, dict[str, float]]:
    """`dvc exp show`: perplexity by experiment and mode."""
    perplexities: dict[str, dict[str, float]] = {}
    for branch in json.loads(repository.dvc("exp", "show", "--json").stdout):
        for experiment in branch["experiments"] or []:
            metrics = experiment["revs"][0]["data"]["metrics"]
            values = {p.split("/")[2]: m["data"]["perplexity"] for p, m in metrics.items() if "metrics.json" in p}
            perplexities[experiment["name"]] = values
    return perplexities


def damaged(repository: Repository) -> str:
    """The output of verify-cache if it finds damaged files, else an empty string."""
    done = repository.python("autocomplete", "verify-cache")
    return "" if done.returncode == 0 else done.stdout + done.stderr


def started(repository: Repository, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A sweep that Ctrl-C reaches, even if the tests run in a shell's background, where it is ignored."""
    return subprocess.Popen(
        [sys.executable, "-m", "autocomplete", "sweep", *arguments],
        cwd=repository.folder,
        env=repository.environment | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def find(process: subprocess.Popen[str], wanted: Callable[[str], bool]) -> psutil.Process:
    """Waits for a descendant whose command line satisfies `wanted`."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                if wanted(" ".join(child.cmdline())):
                    return child
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.05)
    raise AssertionError("no such process")
