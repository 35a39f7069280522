"""Whether the models of a bundle are what its manifest says, load, and answer. A process of its own may crash.

Usage: python -m stages.measure.alive FOLDER
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stages import config
from stages.bundle import manifest as bundle
from stages.errors import UserError
from stages.files import read_json
from stages.measure import contract
from stages.quiet import quiet
from stages.tflite import compiled, inspect, portable, runner, tokens

PROMPT = "Returns the"


def core(path: Path, _: dict[str, Any]) -> str:
    """One token's logits."""
    logits = compiled.Session(compiled.load(path, 1)).decode(1)
    if not np.isfinite(logits).all():
        raise UserError(f"{path} answers with numbers that are none")
    return f"logits of {len(logits)} tokens"


def generate(path: Path, manifest: dict[str, Any]) -> str:
    """A few tokens behind one."""
    longest = min(8, manifest["lengths"]["sequence_length"])
    said = tokens.compiled(compiled.load(path, 1))([1], longest, tokens.Sampling())
    if len(said) < 2 or not all(0 <= t < manifest["model"]["vocabulary"] for t in said):
        raise UserError(f"{path} answers {said}, not the prompt and more tokens")
    return f"{len(said) - 1} tokens"


def bytes_(path: Path, _: dict[str, Any]) -> str:
    """A few words behind a few others."""
    said = portable.compiled(compiled.load(path, 1))(PROMPT.encode(), 8, tokens.Sampling(), True)
    if not said or not contract.is_utf8(said):
        raise UserError(f"{path} answers {said[:80]!r}, not text")
    return f"{len(said)} bytes behind {PROMPT!r}"


def text(path: Path, _: dict[str, Any]) -> str:
    """An answer that begins with the prompt."""
    answer = runner.complete(runner.tensorflow(path, 1))(PROMPT.encode())
    if not answer.startswith(PROMPT.encode()):
        raise UserError(f"{path} answers {answer[:80]!r}, not the prompt and more")
    return f"{len(answer) - len(PROMPT)} bytes behind {PROMPT!r}"


def litert_lm(path: Path, _: dict[str, Any]) -> str:
    """A text of LiteRT-LM's engine."""
    with quiet():
        import litert_lm as runtime

        runtime.set_min_log_severity(runtime.LogSeverity.SILENT)
        try:
            backend = runtime.Backend.CPU(thread_count=1)
            with runtime.Engine(str(path), backend, cache_dir=":nocache") as engine:
                greedy = runtime.SamplerConfig(top_k=1)
                with engine.create_session(apply_prompt_template=False, sampler_config=greedy) as session:
                    session.run_prefill([PROMPT])
                    said = str(session.run_decode().texts[0])
        except RuntimeError as error:
            raise UserError(f"{path} does not load: {' '.join(str(error).split())}") from None
    return f"{len(said)} characters behind {PROMPT!r}"


CHECKS: dict[str, Callable[[Path, dict[str, Any]], str]] = {
    "core.tflite": core, "tokens.tflite": generate, "portable.tflite": bytes_, "autocomplete.tflite": text,
    bundle.LITERT_LM: litert_lm,
}  # fmt: skip


def main(folder: Path) -> None:
    """Prints what each model answers, or ends at the first that does not."""
    manifest = read_json(folder / bundle.FILE)
    for name, answer in CHECKS.items():
        path = folder / name
        if not path.exists():
            continue
        if name in manifest["models"] and inspect.describe(path) != manifest["models"][name]:
            raise UserError(f"{path} has other signatures or operators than the manifest says")
        print(f"{name:<23} {answer(path, manifest)}")


if __name__ == "__main__":
    with config.user_errors():
        main(Path(sys.argv[1]))
