"""Interpreters of the two runtimes that the project ships for."""

import contextlib
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.native_log import quiet
from autocomplete.tflite import flatbuffer


def litert(path: Path, threads: int) -> Any:
    """An interpreter of ai-edge-litert, with built-in operators only."""
    from ai_edge_litert.interpreter import Interpreter

    with load_errors(path), quiet():
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
    return interpreter


def tensorflow(path: Path, threads: int) -> Any:
    """TensorFlow's own interpreter with Select TF and TF Text operators, as the original recipe runs a model."""
    with quiet():
        import tensorflow_text
        from tensorflow.lite.python import interpreter as runtime

        registerers = tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS
        with load_errors(path):
            interpreter = runtime.InterpreterWithCustomOps(
                model_path=str(path), custom_op_registerers=registerers, num_threads=threads
            )
            interpreter.allocate_tensors()
    return interpreter


@contextlib.contextmanager
def load_errors(path: Path) -> Iterator[None]:
    """Turns the error of a runtime that does not load a file into a UserError."""
    flatbuffer.check_readable(path)  # the interpreters check less, and crash on a damaged file
    try:
        yield
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{path} does not load: {' '.join(str(error).split())}") from None


def versions() -> dict[str, str]:
    """The versions of the packages that run a model."""
    names = ("ai-edge-litert", "tensorflow", "tensorflow-text", "numpy")
    return {name: importlib.metadata.version(name) for name in names}
