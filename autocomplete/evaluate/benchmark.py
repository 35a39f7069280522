"""Speed and memory of the shipped files, on this machine."""

import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil

from autocomplete.common import artifacts
from autocomplete.common.arrays import Array
from autocomplete.common.artifacts import Performance
from autocomplete.common.errors import UserError
from autocomplete.evaluate import perplexity
from autocomplete.evaluate.mode_files import Subject
from autocomplete.runtime import bytes_model, interpreters, tokens_model

_WARM_UP = 3

Prompt = TypeVar("Prompt")
Answer = TypeVar("Answer")


def measure(subject: Subject, prompts: Sequence[str], settings: Any) -> Performance:
    """Timings, memory and sizes of the shipped files; timings vary from run to run."""
    before = machine()
    prompt = np.array(subject.prompt_ids(prompts[0]), np.int32)
    speed = core_speed(subject.session(subject.core), prompt, settings.timing_repeats)
    files = sorted(subject.shipped.glob("*.tflite"))
    measured: dict[str, Any] = {name: perplexity.significant(value, 4) for name, value in speed.items()}
    measured |= _latencies(subject, prompts, settings)
    measured |= {
        "peak_rss_mib": round(peak_rss_mib(subject.core), 1),
        "size_bytes": {p.name: p.stat().st_size for p in files},
        "threads": subject.threads,
        "runtime": interpreters.versions(),
        "machine": before,
    }
    return Performance.parse(measured, artifacts.PERFORMANCE)


def _latencies(subject: Subject, prompts: Sequence[str], settings: Any) -> dict[str, float | None]:
    """Seconds of the shipped text, tokens and portable models for an answer of 100 tokens; greedy but in text.

    Null where sequence_length is below 100, where too few answers are that long, or where there is no such model. A
    longer sequence_length is scaled to 100 tokens.
    """
    length = subject.conversion.sequence_length
    names = ("latency_100_tokens_s", "tokens_latency_100_tokens_s", "portable_latency_100_tokens_s")
    found: dict[str, float | None] = dict.fromkeys(names)
    if length < settings.full_length:
        return found
    again = [p for _ in range(settings.latency_attempts) for p in prompts][: settings.latency_attempts]
    found["tokens_latency_100_tokens_s"] = full_length_latency(
        lambda ids: subject.generate(ids, length, tokens_model.Sampling()),
        lambda said: len(said) == length,
        [subject.prompt_ids(p) for p in again],
        settings.latency_runs,
    )
    if subject.portable.exists():
        proceed = bytes_model.interpreted(interpreters.litert(subject.portable, subject.threads))
        found["portable_latency_100_tokens_s"] = full_length_latency(
            lambda prompt: prompt + proceed(prompt, length, tokens_model.Sampling(), False),
            lambda answer: _tokens(subject, answer) >= length,
            [p.encode() for p in again],
            settings.latency_runs,
        )
    if subject.text_core is not None:
        found["latency_100_tokens_s"] = full_length_latency(
            subject.complete,
            lambda answer: _tokens(subject, answer) >= length,
            [p.encode() for p in again],
            settings.latency_runs,
        )
    scale = settings.full_length / length
    return {n: None if s is None else perplexity.significant(s * scale, 4) for n, s in found.items()}


def _tokens(subject: Subject, answer: bytes) -> int:
    """How many tokens an answer has when encoded anew: it may end early, and only the text shows what was said."""
    return len(subject.bpe.encode(answer.decode()).ids) + subject.model.add_start_token


def core_speed(session: Any, prompt: Array, repeats: int) -> dict[str, float]:
    """TTFT, prefill and decode speed of a core's signatures: medians after warm-up, p90 for decode."""
    chunk, longest = session.chunks[0], session.chunks[-1]
    many = np.resize(prompt, longest)

    def first_token() -> None:
        session.reset()
        session.prefill(prompt[:-1], chunk)
        session.decode(int(prompt[-1]))

    def read_many() -> None:
        session.reset()
        session.prefill(many, longest)

    ttft, prefill = _times(first_token, repeats), _times(read_many, repeats)
    session.reset()
    session.prefill(prompt[:-1], chunk)
    steps = min(session.slots - session.position - _WARM_UP, 10 * repeats)
    decode = _times(lambda: session.decode(int(prompt[-1])), steps)
    return {
        "ttft_ms": 1e3 * statistics.median(ttft),
        "prefill_tokens_per_s": longest / statistics.median(prefill),
        "decode_tokens_per_s": 1 / statistics.median(decode),
        "decode_tokens_per_s_p90": 1 / float(np.quantile(decode, 0.9)),
    }


def _times(call: Callable[[], object], repeats: int) -> list[float]:
    for _ in range(_WARM_UP):
        call()
    return [_seconds(call) for _ in range(repeats)]


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def full_length_latency(
    complete: Callable[[Prompt], Answer], reached: Callable[[Answer], bool], prompts: Sequence[Prompt], runs: int
) -> float | None:
    """Median seconds of `runs` answers of full length; None where too few of the prompts lead to such answers."""
    seconds: list[float] = []
    for index, prompt in enumerate(prompts):
        began = time.perf_counter()
        answer = complete(prompt)
        elapsed = time.perf_counter() - began
        if index >= _WARM_UP and reached(answer):
            seconds.append(elapsed)
        if len(seconds) == runs:
            return statistics.median(seconds)
    return None


def peak_rss_mib(model: Path) -> float:
    """Peak resident memory of a fresh process that reads and writes tokens, above one with an empty model, in MiB."""
    return _fresh_peak(str(model)) - _fresh_peak("")


def _fresh_peak(model: str) -> float:
    command = [sys.executable, "-m", "autocomplete.evaluate.peak_memory", model]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"a fresh process could not run {model}: {done.stderr.strip().splitlines()[-1:]}")
    return float(done.stdout.split()[-1])


def machine() -> dict[str, Any]:
    """What the timings were taken on."""
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
