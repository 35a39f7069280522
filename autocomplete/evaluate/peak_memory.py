"""A fresh process that runs one model and prints its peak resident memory, above what imports left, in MiB.

Usage: python -m autocomplete.evaluate.peak_memory FILE

A core runs in LiteRT; an empty name measures its interpreter with an empty model, what the runtime itself takes.
autocomplete.tflite runs in TensorFlow's interpreter, with Select TF.
"""

import contextlib
import re
import resource
import sys
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter


def empty_model() -> bytes:
    """A model whose output is its input."""
    tensor, subgraph, model = schema.TensorT(), schema.SubGraphT(), schema.ModelT()
    tensor.shape, tensor.name, tensor.type = [1], "x", schema.TensorType.FLOAT32
    subgraph.tensors, subgraph.inputs, subgraph.outputs, subgraph.operators = [tensor], [0], [0], []
    model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [subgraph], [schema.BufferT()], []
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def exercise(path: str) -> None:
    """Loads a core and calls each of its signatures, as generating text does."""
    interpreter = Interpreter(model_path=path, num_threads=2)
    for name in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(name)
        inputs = {n: np.zeros(d["shape"], d["dtype"]) for n, d in runner.get_input_details().items()}
        for _ in range(3):
            runner(**inputs)


def answer(path: Path) -> None:
    """Loads a text model and lets it answer."""
    from autocomplete.runtime import interpreters, text_model

    complete = text_model.interpreted(interpreters.tensorflow(path, 2))
    for prompt in (b"Returns the", b"a", b"of the " * 60):
        complete(prompt)


def forget_imports() -> None:
    """Resets the kernel's high-water mark (proc(5), clear_refs), which loading Python packages has raised."""
    with contextlib.suppress(OSError):  # not Linux, or not allowed: the mark then counts the imports, in both processes
        Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """The high-water mark of resident memory."""
    return _status_mib("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _status_mib(field: str) -> float:
    """A field of the kernel's account of this process; 0 where there is none."""
    with contextlib.suppress(OSError):
        if found := re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text()):
            return int(found[1]) / 1024
    return 0.0


if __name__ == "__main__":
    model = Path(sys.argv[1])
    is_text = model.name == "autocomplete.tflite"
    if is_text:
        import tensorflow_text  # noqa: F401  (hundreds of MiB of imports, which are no app's)
    forget_imports()
    before = _status_mib("VmRSS")
    if is_text:
        answer(model)
    elif sys.argv[1]:
        exercise(sys.argv[1])
    else:
        Interpreter(model_content=empty_model(), num_threads=2).allocate_tensors()
    print(peak_mib() - before)
