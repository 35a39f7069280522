"""A Python client's answers, in a separate process: python -m tests.benchmarks.same_text_python CLIENT < ASKED"""

import functools
import importlib.util
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any


def by_python(client: Path, inputs: tuple[Sequence[str], Sequence[Mapping[str, int]]]) -> None:
    """Writes a Python client's answers for each change of the model's inputs; one interpreter serves all."""
    import numpy as np
    from ai_edge_litert import interpreter

    prompts, all_changes = inputs
    changes: dict[str, Any] = {}
    seconds = 0.0

    class CachedInterpreter(interpreter.Interpreter):
        def get_signature_runner(self, name: str) -> Any:
            run = super().get_signature_runner(name)

            def timed(**runner_inputs: Any) -> Any:
                nonlocal seconds
                started = time.perf_counter()
                answer = run(**runner_inputs | changes)
                seconds = time.perf_counter() - started
                return answer

            return timed

    interpreter.Interpreter = functools.cache(CachedInterpreter)
    complete = loaded(client).complete
    for change in all_changes:
        changes = {name: np.int32(value) for name, value in change.items()}
        for prompt in prompts:
            text = complete(prompt)
            sys.stdout.buffer.write(f"{text}\0{seconds}\0".encode())


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    by_python(Path(sys.argv[1]), json.load(sys.stdin))
