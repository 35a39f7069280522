"""Profiles the tokens flavour: milliseconds of each kind of operator per decoded token.

Usage: uv run python -m tests.benchmarks.profile FILE [--threads N] [--position P] [--prompt]

It uses LiteRT's own profiler through the C interface of libLiteRt.so, since the Python interface does not expose it.
The profiler overstates small operators; a run's two tokens include the first of a round, whose memory is new.
"""

import argparse
import ctypes
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ai_edge_litert
import numpy as np

from .protocol import prompt_ids

POINTER = ctypes.c_void_p
_TOKENS = 2  # decoded in a profiled run: the profiler's buffer holds some 2,000 events
_CPU, _READ_WRITE = 1, 2


class _Layout(ctypes.Structure):
    _fields_ = (
        ("rank", ctypes.c_uint, 7),
        ("has_strides", ctypes.c_bool, 1),
        ("dimensions", ctypes.c_int32 * 8),
        ("strides", ctypes.c_uint32 * 8),
    )


class _Type(ctypes.Structure):
    _fields_ = (("element", ctypes.c_int), ("layout", _Layout))


class Library:
    """libLiteRt.so: calls a function by its name without `LiteRt`; a status other than 0 is an error."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(str(Path(ai_edge_litert.__file__).with_name("libLiteRt.so")))

    def __call__(self, name: str, *arguments: Any) -> None:
        status = self._library[f"LiteRt{name}"](*arguments)
        if status:
            raise SystemExit(f"error: LiteRt{name} returned {status}")

    def new(self, name: str, *arguments: Any) -> POINTER:
        """The value that a function returns through its last argument."""
        pointer = POINTER()
        self(name, *arguments, ctypes.byref(pointer))
        return pointer


def options(lite: Library, threads: int) -> POINTER:
    libc = ctypes.CDLL(None)
    libc.strdup.restype = POINTER
    lite_options = lite.new("CreateOptions")
    lite("SetOptionsHardwareAccelerators", lite_options, ctypes.c_int(_CPU))
    for name, text in (
        (b"xnnpack", f"num_threads = {threads}\n"),
        (b"runtime_options_string", "enable_profiling = true\n"),
    ):
        content = POINTER(libc.strdup(text.encode()))  # freed by the library
        lite(
            "AddOpaqueOptions",
            lite_options,
            lite.new("CreateOpaqueOptions", name, content, ctypes.cast(libc.free, POINTER)),
        )
    return lite_options


def buffers(lite: Library, model: Sequence[POINTER], kind: str, values: dict[str, Any]) -> Any:
    """Buffers of the first signature's inputs or outputs, filled with values by name."""
    environment, file, compiled = model
    signature = lite.new("GetModelSignature", file, ctypes.c_size_t(0))
    count = ctypes.c_size_t()
    lite(f"GetNumSignature{kind}s", signature, ctypes.byref(count))
    filled = (POINTER * count.value)()
    for index in range(count.value):
        position = ctypes.c_size_t(index)
        name, ranked = ctypes.c_char_p(), _Type()
        lite(f"GetSignature{kind}Name", signature, position, ctypes.byref(name))
        lite(
            "GetRankedTensorType",
            lite.new(f"GetSignature{kind}TensorByIndex", signature, position),
            ctypes.byref(ranked),
        )
        requirements = lite.new(f"GetCompiledModel{kind}BufferRequirements", compiled, ctypes.c_size_t(0), position)
        filled[index] = lite.new(
            "CreateManagedTensorBufferFromRequirements", environment, ctypes.byref(ranked), requirements
        )
        value = values.get((name.value or b"").decode())
        if value is not None:
            memory = _locked(lite, filled[index])
            shape = tuple(ranked.layout.dimensions[: ranked.layout.rank])
            data = np.ascontiguousarray(value.reshape(-1)[: math.prod(shape)])
            ctypes.memmove(memory, data.ctypes.data, data.nbytes)
            lite("UnlockTensorBuffer", POINTER(filled[index]))
    return filled


def _locked(lite: Library, buffer: int | None) -> POINTER:
    memory = POINTER()
    lite("LockTensorBuffer", POINTER(buffer), ctypes.byref(memory), ctypes.c_int(_READ_WRITE))
    return memory


def summary(path: str, threads: int, position: int) -> str:
    """The profiler's text of a run that reads a prompt of `position` tokens and decodes two more."""
    lite = Library()
    environment = lite.new("CreateEnvironment", 0, None)
    file = lite.new("CreateModelFromFile", environment, path.encode())
    compiled = lite.new("CreateCompiledModel", environment, file, options(lite, threads))
    model = environment, file, compiled
    prompt = np.zeros(1024, np.int32)
    prompt[:position] = prompt_ids(position, 50257)
    values = {
        "tokens": prompt,
        "length": np.int32(position),
        "max_length": np.int32(position + _TOKENS),
        "temperature": np.float32(0),
        "top_k": np.int32(0),
        "top_p": np.float32(1),
        "seed": np.int32(0),
    }
    inputs, outputs = buffers(lite, model, "Input", values), buffers(lite, model, "Output", {})

    def run() -> None:
        sizes = ctypes.c_size_t(len(inputs)), ctypes.c_size_t(len(outputs))
        lite("RunCompiledModel", compiled, ctypes.c_size_t(0), sizes[0], inputs, sizes[1], outputs)

    for _ in range(2):
        run()
    profiler, text = lite.new("CompiledModelGetProfiler", compiled), ctypes.c_char_p()
    lite("StartProfiler", profiler)
    run()
    lite("StopProfiler", profiler)
    lite("GetProfileSummary", profiler, compiled, ctypes.byref(text))
    return (text.value or b"").decode()


def by_kind(text: str, prompt: bool) -> dict[str, tuple[float, int]]:
    """Kind of operator → milliseconds and number of operators per pass through the model; without loops.

    The mean of all passes; with `prompt`, only the first pass, which reads the prompt or its first chunk.
    """
    row = re.compile(r"\s*(.+?)\s+[\d.]+\s+([\d.]+)\s+([\d.]+)\s+[\d.]+%\s+[\d.]+%\s+[\d.]+\s+\d+\s+\[\w+\]:\d+")
    kinds: dict[str, tuple[float, int]] = {}
    for match in filter(None, map(row.match, text.split("Run Order")[1].split("Top by")[0].splitlines())):
        kind, first, mean = match.groups()
        if kind != "WHILE":
            total, count = kinds.get(kind, (0.0, 0))
            kinds[kind] = total + float(first if prompt else mean), count + 1
    return kinds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--position", type=int, default=1)
    parser.add_argument("--prompt", action="store_true", help="of the pass that reads the prompt, --position tokens")
    parser.add_argument("--raw", action="store_true", help="the profiler's own text")
    options = parser.parse_args()
    if options.raw:
        print(summary(options.file, options.threads, options.position))
        return
    # the runtime prints to both streams: a separate process keeps its output out of this one's
    command = [sys.executable, "-m", "tests.benchmarks.profile", options.file, "--raw"]
    command += ["--threads", str(options.threads), "--position", str(options.position)]
    texts = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(3)]
    runs = [by_kind(text, options.prompt) for text in texts]
    best = min(runs, key=lambda kinds: sum(ms for ms, _ in kinds.values()))
    for kind, (ms, count) in sorted(best.items(), key=lambda item: -item[1][0])[:20]:
        print(f"{ms:8.3f} ms  {count:4} × {kind}")
    print(f"{sum(ms for ms, _ in best.values()):8.3f} ms  in all")


if __name__ == "__main__":
    main()
