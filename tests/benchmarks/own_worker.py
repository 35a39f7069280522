"""Runs this project's flavours, one round of measurements for each line of standard input (protocol.py).

Usage: python -m tests.benchmarks.own_worker INTERFACE FILE THREADS

INTERFACE: `litert` and `compiled` run the tokens flavour in LiteRT, the latter with packed weights shared in
memory; `tensorflow` runs it in TF 2.18's interpreter, where the text flavour, `text`, runs too.
"""

import sys
import time
from pathlib import Path
from typing import Any

from autocomplete.common.native_log import quiet
from autocomplete.runtime import compiled, interpreters, text_model, tokens_model

from .protocol import LENGTH, PROMPT, prompt_ids, serve

TEXT = b"The weather in Paris is mild in the spring, so we walked by the river"  # 16 tokens of GPT-2's vocabulary
VOCABULARY = 50257


def seconds(call: Any, *arguments: Any) -> float:
    started = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - started


def measure_tokens(generate: tokens_model.Generate) -> dict[str, float]:
    """Decodes greedily, as the peers do; the prompt gives the first token."""
    greedy = tokens_model.Sampling()
    first = {n: seconds(generate, prompt_ids(n, VOCABULARY), n + 1, greedy) for n in (16, 64)}
    total = seconds(generate, prompt_ids(PROMPT, VOCABULARY), LENGTH, greedy)
    return {
        **{f"ttft_{n}_ms": 1000 * s for n, s in first.items()},
        "decode_tokens_per_s": (LENGTH - PROMPT - 1) / (total - first[PROMPT]),
        "seconds_100": total,
    }


def measure_text(complete: Any) -> dict[str, float]:
    return {"seconds_100": seconds(complete, TEXT)}


def load(interface: str, path: Path, threads: int) -> Any:
    with quiet():
        if interface == "text":
            return text_model.interpreted(interpreters.tensorflow(path, threads))
        if interface == "compiled":
            return tokens_model.compiled(compiled.load(path, threads, Path(":memory")))
        return tokens_model.interpreted(getattr(interpreters, interface)(path, threads))


if __name__ == "__main__":
    interface, path, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    with quiet():  # imports are not the model's memory
        if interface in ("tensorflow", "text"):
            import tensorflow_text  # noqa: F401
        else:
            import ai_edge_litert.compiled_model
            import ai_edge_litert.interpreter  # noqa: F401
    serve(lambda: load(interface, path, threads), measure_text if interface == "text" else measure_tokens)
