"""Whether the models of a bundle are what its manifest says, load, and answer; in a process that may crash.

Usage: python -m autocomplete.bundle.smoke_test FOLDER
"""

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from autocomplete.bundle import manifest as bundle
from autocomplete.bundle.contract import Manifest
from autocomplete.common.errors import UserError, user_errors
from autocomplete.common.native_log import quiet
from autocomplete.evaluate import contracts
from autocomplete.runtime import bytes_model, compiled, interpreters, text_model, tokens_model
from autocomplete.tflite import inspect

PROMPT = "Returns the"


def core_answer(path: Path, _: Manifest) -> str:
    """Logits behind one token."""
    logits = compiled.CompiledSession(compiled.load(path, 1)).decode(1)
    if not np.isfinite(logits).all():
        raise UserError(f"{path} answers with numbers that are none")
    return f"logits of {len(logits)} tokens"


def tokens_answer(path: Path, manifest: Manifest) -> str:
    """A few tokens behind one."""
    max_length = min(8, manifest.lengths.sequence_length)
    ids = tokens_model.compiled(compiled.load(path, 1))([1], max_length, tokens_model.Sampling())
    if len(ids) < 2 or not all(0 <= i < manifest.model.vocabulary for i in ids):
        raise UserError(f"{path} answers {ids}, not the prompt and more tokens")
    return f"{len(ids) - 1} tokens"


def portable_answer(path: Path, _: Manifest) -> str:
    """A few words behind a prompt."""
    answer = bytes_model.compiled(compiled.load(path, 1))(PROMPT.encode(), 8, tokens_model.Sampling(), True)
    if not answer or not contracts.is_utf8(answer):
        raise UserError(f"{path} answers {answer[:80]!r}, not text")
    return f"{len(answer)} bytes behind {PROMPT!r}"


def text_answer(path: Path, _: Manifest) -> str:
    """An answer that begins with the prompt."""
    answer = text_model.interpreted(interpreters.tensorflow(path, 1))(PROMPT.encode())
    if not answer.startswith(PROMPT.encode()):
        raise UserError(f"{path} answers {answer[:80]!r}, not the prompt and more")
    return f"{len(answer) - len(PROMPT)} bytes behind {PROMPT!r}"


def litert_lm_answer(path: Path, _: Manifest) -> str:
    """A text that LiteRT-LM's engine generates."""
    with quiet():
        import litert_lm as runtime

        runtime.set_min_log_severity(runtime.LogSeverity.SILENT)
        try:
            backend = runtime.Backend.CPU(thread_count=1)
            with runtime.Engine(str(path), backend, cache_dir=":nocache") as engine:
                greedy = runtime.SamplerConfig(top_k=1)
                with engine.create_session(apply_prompt_template=False, sampler_config=greedy) as session:
                    session.run_prefill([PROMPT])
                    answer = str(session.run_decode().texts[0])
        except RuntimeError as error:
            raise UserError(f"{path} does not load: {' '.join(str(error).split())}") from None
    return f"{len(answer)} characters behind {PROMPT!r}"


CHECKS: dict[str, Callable[[Path, Manifest], str]] = {
    "core.tflite": core_answer,
    "tokens.tflite": tokens_answer,
    "portable.tflite": portable_answer,
    "autocomplete.tflite": text_answer,
    bundle.LITERT_LM: litert_lm_answer,
}


def main(folder: Path) -> None:
    """Prints a line for each model; raises UserError at the first that is not as it should be."""
    manifest = Manifest.read(folder / bundle.FILE)
    for name, answer in CHECKS.items():
        path = folder / name
        if not path.exists():
            continue
        if name in manifest.models and asdict(inspect.describe(path)) != manifest.models[name].model_dump():
            raise UserError(f"{path} has other signatures or operators than the manifest says")
        print(f"{name:<23} {answer(path, manifest)}")


if __name__ == "__main__":
    with user_errors():
        main(Path(sys.argv[1]))
