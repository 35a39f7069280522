"""Speed and memory of the shipped files, on this machine."""

import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil

from autocomplete.common import artifacts
from autocomplete.common.arrays import Array
from autocomplete.common.artifacts import Machine, Performance
from autocomplete.common.errors import UserError
from autocomplete.common.metrics import MetricValues, rounded
from autocomplete.evaluate.mode_files import ModeFiles
from autocomplete.runtime import bytes_model, compiled, interpreters, tokens_model

_WARM_UP = 3  # calls that are not timed
_DIGITS = 4  # significant ones of a timing

Prompt = TypeVar("Prompt")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class TimingSettings:
    """How much is timed.

    Attributes:
      repeats: timed calls of each signature of the core.
      latency_runs: timed answers of full length, whose median counts.
      latency_attempts: prompts that may be tried to get so many answers.
      full_length: tokens of the answer that a latency is given for.
    """

    repeats: int
    latency_runs: int
    latency_attempts: int
    full_length: int


def measure(mode: ModeFiles, prompts: Sequence[str], settings: TimingSettings) -> Performance:
    """Timings, memory and sizes of the shipped files; timings vary from run to run."""
    machine_before = machine()
    prompt = np.array(mode.prompt_ids(prompts[0]), np.int32)
    timings: MetricValues = {**core_speed(mode.session(mode.core), prompt, settings.repeats)}
    timings |= _latencies(mode, prompts, settings)
    content = {
        "threads": mode.threads,
        "size_bytes": {p.name: p.stat().st_size for p in sorted(mode.shipped.glob("*.tflite"))},
        "runtime": interpreters.versions(),
        "machine": machine_before,
        **rounded(timings, _DIGITS),
        "peak_rss_mib": round(peak_rss_mib(mode.core), 1),
    }
    return Performance.parse(content, artifacts.PERFORMANCE)


def _latencies(mode: ModeFiles, prompts: Sequence[str], settings: TimingSettings) -> MetricValues:
    """Seconds of the shipped text, tokens and portable models for an answer of `full_length` tokens.

    The tokens and the portable model decode greedily, the text model by its own sampler. A value is None if
    sequence_length is below full_length, if too few answers are long enough, or if there is no such model. The time of
    a longer answer is scaled down to full_length.
    """
    length = mode.conversion.sequence_length
    names = ("latency_100_tokens_s", "tokens_latency_100_tokens_s", "portable_latency_100_tokens_s")
    seconds: MetricValues = dict.fromkeys(names)
    if length < settings.full_length:
        return seconds
    attempts = [prompts[i % len(prompts)] for i in range(settings.latency_attempts)]
    attempts_in_bytes = [p.encode() for p in attempts]
    seconds["tokens_latency_100_tokens_s"] = full_length_latency(
        lambda ids: mode.generate(ids, length, tokens_model.Sampling()),
        lambda ids: len(ids) == length,
        [mode.prompt_ids(p) for p in attempts],
        settings.latency_runs,
    )
    if mode.portable.exists():
        proceed = bytes_model.interpreted(interpreters.litert(mode.portable, mode.threads))
        seconds["portable_latency_100_tokens_s"] = full_length_latency(
            lambda prompt: prompt + proceed(prompt, length, tokens_model.Sampling(), False),
            lambda answer: _token_count(mode, answer) >= length,
            attempts_in_bytes,
            settings.latency_runs,
        )
    if mode.text_core is not None:
        seconds["latency_100_tokens_s"] = full_length_latency(
            mode.complete, lambda answer: _token_count(mode, answer) >= length, attempts_in_bytes, settings.latency_runs
        )
    scale = settings.full_length / length
    return {name: None if value is None else value * scale for name, value in seconds.items()}


def _token_count(mode: ModeFiles, answer: bytes) -> int:
    """The tokens of an answer when its text is encoded again: a model of text does not tell how many it generated."""
    return len(mode.bpe.encode(answer.decode()).ids) + mode.model.add_start_token


def core_speed(session: compiled.CompiledSession, prompt: Array, repeats: int) -> dict[str, float]:
    """TTFT, prefill and decode speed of a core's signatures: medians after warm-up, p90 for decode."""
    chunk, longest_chunk = session.chunks[0], session.chunks[-1]
    long_prompt = np.resize(prompt, longest_chunk)

    def first_token() -> None:
        session.reset()
        session.prefill(prompt[:-1], chunk)
        session.decode(int(prompt[-1]))

    def read_long_prompt() -> None:
        session.reset()
        session.prefill(long_prompt, longest_chunk)

    ttft, prefill = _times(first_token, repeats), _times(read_long_prompt, repeats)
    session.reset()
    session.prefill(prompt[:-1], chunk)
    steps = min(session.slots - session.position - _WARM_UP, 10 * repeats)
    decode = _times(lambda: session.decode(int(prompt[-1])), steps)
    return {
        "ttft_ms": 1e3 * statistics.median(ttft),
        "prefill_tokens_per_s": longest_chunk / statistics.median(prefill),
        "decode_tokens_per_s": 1 / statistics.median(decode),
        "decode_tokens_per_s_p90": 1 / float(np.quantile(decode, 0.9)),
    }


def _times(call: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each call after warm-up."""
    for _ in range(_WARM_UP):
        call()
    return [_seconds(call) for _ in range(repeats)]


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def full_length_latency(
    complete: Callable[[Prompt], Answer],
    is_full_length: Callable[[Answer], bool],
    prompts: Sequence[Prompt],
    runs: int,
) -> float | None:
    """Median seconds of `runs` answers of full length; None where too few of the prompts lead to such answers."""
    seconds: list[float] = []
    for index, prompt in enumerate(prompts):
        began = time.perf_counter()
        answer = complete(prompt)
        elapsed = time.perf_counter() - began
        if index >= _WARM_UP and is_full_length(answer):
            seconds.append(elapsed)
        if len(seconds) == runs:
            return statistics.median(seconds)
    return None


def peak_rss_mib(model: Path) -> float:
    """Peak resident memory, in MiB, of a fresh process that runs a model, above one that runs an empty model."""
    return _fresh_peak_mib(str(model)) - _fresh_peak_mib("")


def _fresh_peak_mib(model: str) -> float:
    command = [sys.executable, "-m", "autocomplete.evaluate.peak_memory", model]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"a fresh process could not run {model}: {done.stderr.strip().splitlines()[-1:]}")
    return float(done.stdout.split()[-1])


def machine() -> Machine:
    """The machine that timings are taken on."""
    return {
        "processor": _processor(),
        "logical_cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": round(psutil.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
