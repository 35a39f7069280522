"""Compares GPT-2 base with random weights in this project's flavours and in its peers, on this machine.

Usage: uv run python -m tests.benchmarks.peers [--rounds N] [--work FOLDER]

Builds each model, measures all of them in turn, N rounds for each number of threads, prints a table of medians and
writes peers.json next to this file. The first run takes half an hour: the original recipe converts for four minutes,
and llama.cpp is built. Files in FOLDER (build/peers) are kept: a second run only measures.
"""

import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from autocomplete.common.files import write_json
from autocomplete.common.progress import progress_bar
from autocomplete.evaluate import benchmark
from autocomplete.runtime import interpreters

from . import models
from .models import HERE, LLAMA, OLD, ROOT

THREADS = (1, 2)
COLUMNS = {
    "size_mb": "MB",
    "convert_s": "convert s",
    "convert_peak_mib": "MiB",
    "load_s": "load s",
    "ttft_16_ms": "TTFT 16 ms",
    "ttft_64_ms": "TTFT 64 ms",
    "decode_tokens_per_s": "tokens/s",
    "seconds_100": "100 tokens s",
    "peak_rss_mib": "peak MiB",
}


class Worker:
    """A process that holds one model and measures it on request."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        self.loaded = self._answer()

    def ask(self, request: str) -> dict[str, float]:
        assert self._process.stdin
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        self._process.communicate()

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"error: {' '.join(self._command)} ended with {self._process.wait()}; run it by hand")
        return dict(json.loads(line))


def commands(work: Path) -> dict[str, list[str]]:
    """The contenders: name → command without the number of threads."""
    python, own = [sys.executable], [sys.executable, "-m", "tests.benchmarks.own_worker"]
    original, script = str(work / "original.tflite"), str(HERE / "original_worker.py")
    by_name = {
        "original recipe, TF 2.12.1": [*OLD, "python", script, original],
        "original's file, TF 2.18.1": [*python, script, original],
    }
    for mode in models.MODES:
        folder = work / "artifacts/quantize" / mode
        by_name[f"tokens, {mode}"] = [*own, "litert", str(folder / "tokens.tflite")]
        by_name[f"tokens, {mode}, weights shared"] = [*own, "compiled", str(folder / "tokens.tflite")]
        if (folder / "autocomplete.tflite").exists():
            by_name[f"text, {mode}, TF 2.18.1"] = [*own, "text", str(folder / "autocomplete.tflite")]
            by_name[f"tokens, {mode}, TF 2.18.1"] = [*own, "tensorflow", str(folder / "tokens.tflite")]
    for kind in models.GGUF:
        by_name[f"llama.cpp {kind}"] = [*LLAMA, "python", str(HERE / "llama_worker.py"), str(work / f"{kind}.gguf")]
    return by_name | {"bandwidth": [*python, str(HERE / "bandwidth_worker.py")]}


def measure(contenders: dict[str, list[str]], threads: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Medians and ranges of each contender's figures; the contenders run in turn, one at a time."""
    workers: dict[str, Worker] = {}
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    with progress_bar(f"{threads} threads: load", len(contenders)) as show:
        for index, (name, command) in enumerate(contenders.items()):
            workers[name] = Worker([*command, str(threads)])
            show(index + 1, "models")
    with progress_bar(f"{threads} threads: measure", rounds) as show:
        for index in range(rounds):
            for name, worker in workers.items():
                time.sleep(0.3)  # the threads of the previous contender become idle
                figures[name].append(worker.ask("measure"))
            show(index + 1, "rounds")
    result = {}
    for name, worker in workers.items():
        medians = {k: statistics.median(r[k] for r in figures[name]) for k in figures[name][0]}
        ranges = {k: [min(r[k] for r in figures[name]), max(r[k] for r in figures[name])] for k in medians}
        result[name] = {
            **worker.loaded,
            **medians,
            "ranges": ranges,
        }
        worker.close()
    return result


def peaks(contenders: dict[str, list[str]], threads: int) -> dict[str, float]:
    """Peak memory of each contender above its imports, MiB; one at a time: pages of a shared file count for all."""
    peak_by_name = {}
    with progress_bar(f"{threads} threads: memory", len(contenders)) as show:
        for index, (name, command) in enumerate(contenders.items()):
            worker = Worker([*command, str(threads)])
            worker.ask("measure")
            peak_by_name[name] = worker.ask("peak")["peak_rss_mib"]
            worker.close()
            show(index + 1, "models")
    return peak_by_name


def ratios(rows: dict[str, dict[str, Any]], conversions: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The ratios that the project promises, from the medians for one number of threads."""
    keys = ("seconds_100", "decode_tokens_per_s", "ttft_64_ms")
    seconds, decode, prefill = ({name: row[key] for name, row in rows.items() if key in row} for key in keys)
    ours, int4, old = "tokens, dynamic_range", "tokens, int4_block32_rtn", "original's file, TF 2.18.1"
    limit = rows["bandwidth"]["gb_per_s"] * 1e3 / conversions[ours]["size_mb"]
    memory = rows[f"{ours}, weights shared"]["peak_rss_mib"] * 2**20 / 1e6
    text = seconds["text, dynamic_range, TF 2.18.1"] / seconds["tokens, dynamic_range, TF 2.18.1"]
    return {
        "original / dynamic_range, 100 tokens": seconds["original recipe, TF 2.12.1"] / seconds[ours],
        "original's file in TF 2.18.1 / dynamic_range, 100 tokens": seconds[old] / seconds[ours],
        "original's file in TF 2.18.1 / int4, 100 tokens": seconds[old] / seconds[int4],
        "text / tokens, dynamic_range, both in TF 2.18.1": text,
        "decode, dynamic_range / Q8_0": decode[ours] / decode["llama.cpp Q8_0"],
        "decode, int4 / Q4_0": decode[int4] / decode["llama.cpp Q4_0"],
        "prefill of 64, Q8_0 / dynamic_range": prefill["llama.cpp Q8_0"] / prefill[ours],
        "prefill of 64, Q4_0 / int4": prefill["llama.cpp Q4_0"] / prefill[int4],
        "share of the bandwidth limit, dynamic_range": decode[ours] / limit,
        "memory / file, dynamic_range, weights shared": memory / conversions[ours]["size_mb"],
    }


def show(report: dict[str, Any]) -> None:
    console = Console(width=180)
    for threads in report["threads"]:
        table = Table(title=f"GPT-2 base, random weights, {threads} thread(s), medians of {report['rounds']}")
        for title in ("", *COLUMNS.values()):
            table.add_column(title, justify="right" if title else "left")
        for name, row in report["threads"][threads]["models"].items():
            cells = report["made"].get(name, {}) | row
            table.add_row(name, *(_cell(cells.get(c)) for c in COLUMNS))
        console.print(table)
        for name, value in report["threads"][threads]["ratios"].items():
            console.print(f"  {name}: {value:.2f}")
        console.print(f"  bandwidth: {report['threads'][threads]['models']['bandwidth']['gb_per_s']:.1f} GB/s")


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--work", type=Path, default=ROOT / "build/peers")
    options = parser.parse_args()
    if shutil.which("uv") is None:
        raise SystemExit("error: uv is absent: it makes the peers' environments; pip install uv")
    conversions = models.make(options.work)
    contenders = commands(options.work)
    report: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": benchmark.machine(),
        "rounds": options.rounds,
        "versions": interpreters.versions() | models.VERSIONS,
        "made": models.by_contender(conversions, contenders),
        "threads": {},
    }
    memory = peaks(contenders, max(THREADS))
    for threads in THREADS:
        rows = measure(contenders, threads, options.rounds)
        for name, row in rows.items():
            row["peak_rss_mib"] = memory[name]
        report["threads"][str(threads)] = {"models": rows, "ratios": ratios(rows, report["made"])}
    write_json(HERE / "peers.json", report)
    show(report)


if __name__ == "__main__":
    main()
