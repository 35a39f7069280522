"""Speed and memory of the shipped files, on this machine."""

import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from stages.arrays import Array
from stages.errors import UserError

_WARM_UP = 3


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
    complete: Callable[[bytes], bytes], reached: Callable[[bytes], bool], prompts: Sequence[bytes], runs: int
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
    command = [sys.executable, "-m", "stages.measure.memory", model]
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
