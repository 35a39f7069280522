"""The protocol of all workers of the benchmark: one round of measurements for each line of standard input.

A worker loads its model, warms up and prints {"load_s"}. It answers the line `measure` by the figures of one
round, and the line `peak` by the process's peak memory since its imports; every answer is one line of JSON. Standard
library only: workers run in environments of their own.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

PROMPT, LENGTH = 16, 100  # number of tokens: of the prompt, of prompt and answer

Model = TypeVar("Model")


def prompt_ids(length: int, vocabulary: int) -> list[int]:
    """A prompt of fixed, arbitrary tokens."""
    return [(37 * i + 11) % vocabulary for i in range(length)]


def serve(load: Callable[[], Model], measure: Callable[[Model], dict[str, float]]) -> None:
    forget_imports()
    imports_mib = resident_mib("VmRSS")
    started = time.perf_counter()
    model = load()
    loaded = time.perf_counter() - started
    measure(model)  # warm-up
    print(json.dumps({"load_s": loaded}), flush=True)
    for line in sys.stdin:
        if line.strip() == "measure":
            print(json.dumps(measure(model)), flush=True)
        elif line.strip() == "peak":
            peak = resident_mib("VmHWM")
            print(json.dumps({"peak_rss_mib": peak - imports_mib, "imports_rss_mib": imports_mib}), flush=True)


def forget_imports() -> None:
    """Resets the high-water mark of resident memory to its present value (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def resident_mib(field: str) -> float:
    """VmRSS, resident memory, or VmHWM, its high-water mark."""
    return int(re.findall(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 1024
