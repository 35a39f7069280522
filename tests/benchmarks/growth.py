"""Measures that the time of a token depends on its position, not on the maximum length of an answer.

Usage: uv run python -m tests.benchmarks.growth [--rounds N] [--work FOLDER]

GPT-2 base, dynamic range, as tests.benchmarks.peers writes it, in tokens models for answers of 64 and of 1,024 tokens:
decoding up to position 60 should take the same time in both. Writes growth.json next to this file.
"""

import argparse
import datetime
import statistics
import time
from pathlib import Path

import yaml

from autocomplete.common.files import read_json, write_json
from autocomplete.common.native_log import quiet
from autocomplete.evaluate import benchmark
from autocomplete.graph import loop_plan, tokens_driver
from autocomplete.model import families
from autocomplete.quantize import recipes
from autocomplete.runtime import interpreters, tokens_model
from autocomplete.tflite import flatbuffer, linker

from .models import HERE, ROOT
from .protocol import PROMPT, prompt_ids

LENGTHS, LAST, THREADS = (64, 1024), 60, (1, 2)


def make(work: Path) -> dict[int, Path]:
    """A tokens model for each length of answers."""
    author = work / "artifacts/author"
    recipe = yaml.safe_load((ROOT / "conf/quantize/dynamic_range.yaml").read_text())["recipe"]
    core = recipes.quantize(work / "artifacts/convert/core.tflite", recipe)
    end = read_json(author / "model.json")["end_token_id"]
    paths = {}
    for max_length in LENGTHS:
        with quiet():
            driver = tokens_driver.convert(
                families.read_config(author), (end,), loop_plan.LoopLengths(max_length, PROMPT)
            )
        paths[max_length] = work / f"tokens_{max_length}.tflite"
        flatbuffer.write(linker.link(driver, core), paths[max_length])
    return paths


def milliseconds(generate: tokens_model.Generate) -> float:
    """The time of a token between the first one after the prompt and the one at position LAST."""
    seconds = []
    for length in (PROMPT + 1, LAST):
        started = time.perf_counter()
        generate(prompt_ids(PROMPT, 50257), length, tokens_model.Sampling())
        seconds.append(time.perf_counter() - started)
    return 1000 * (seconds[1] - seconds[0]) / (LAST - PROMPT - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--work", type=Path, default=ROOT / "build/peers")
    options = parser.parse_args()
    if not (options.work / "artifacts/convert/core.tflite").exists():
        raise SystemExit(f"error: {options.work} holds no models; run `uv run python -m tests.benchmarks.peers` first")
    paths = make(options.work)
    report = {"date": datetime.date.today().isoformat(), "machine": benchmark.machine(), "rounds": options.rounds}
    for threads in THREADS:
        with quiet():
            models = {
                max_length: tokens_model.interpreted(interpreters.litert(path, threads))
                for max_length, path in paths.items()
            }
        times: dict[int, list[float]] = {max_length: [] for max_length in LENGTHS}
        for _ in range(options.rounds + 1):
            for max_length, generate in models.items():
                times[max_length].append(milliseconds(generate))
        medians = {max_length: statistics.median(values[1:]) for max_length, values in times.items()}
        growth = medians[LENGTHS[1]] / medians[LENGTHS[0]] - 1
        report[f"{threads} threads"] = {f"{max_length} tokens, ms": ms for max_length, ms in medians.items()} | {
            "growth": growth
        }
        print(f"{threads} thread(s): " + ", ".join(f"room {r}: {ms:.2f} ms" for r, ms in medians.items()), end="")
        print(f", growth {growth:+.1%}")
    write_json(HERE / "growth.json", report)


if __name__ == "__main__":
    main()
