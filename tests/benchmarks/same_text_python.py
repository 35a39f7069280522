"""A Python client's answers, in a process of its own: python -m tests.benchmarks.same_text_python CLIENT < ASKED"""

import functools
import importlib.util
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any


def by_python(client: Path, told: tuple[Sequence[str], Sequence[Mapping[str, int]]]) -> None:
    """A Python client's answers with some of the model's inputs changed; one interpreter answers all."""
    import numpy as np
    from ai_edge_litert import interpreter

    prompts, all_changes = told
    changes: dict[str, Any] = {}
    seconds = 0.0

    class Kept(interpreter.Interpreter):
        def get_signature_runner(self, name: str) -> Any:
            run = super().get_signature_runner(name)

            def timed(**given: Any) -> Any:
                nonlocal seconds
                began = time.perf_counter()
                answer = run(**given | changes)
                seconds = time.perf_counter() - began
                return answer

            return timed

    interpreter.Interpreter = functools.cache(Kept)
    complete = loaded(client).complete
    for some in all_changes:
        changes = {name: np.int32(value) for name, value in some.items()}
        for prompt in prompts:
            said = complete(prompt)
            sys.stdout.buffer.write(f"{said}\0{seconds}\0".encode())


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    by_python(Path(sys.argv[1]), json.load(sys.stdin))
