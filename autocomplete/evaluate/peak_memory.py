"""A fresh process that runs one model and prints its peak resident memory in MiB, less what imports take.

Usage: python -m autocomplete.evaluate.peak_memory FILE

A core runs in LiteRT. An empty name measures LiteRT with an empty model, which is what the runtime itself takes.
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


def run_core(path: str) -> None:
    """Loads a core and calls each of its signatures."""
    interpreter = Interpreter(model_path=path, num_threads=2)
    for name in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(name)
        inputs = {n: np.zeros(d["shape"], d["dtype"]) for n, d in runner.get_input_details().items()}
        for _ in range(3):
            runner(**inputs)


def run_text_model(path: Path) -> None:
    """Loads a text model and lets it answer prompts of several lengths."""
    from autocomplete.runtime import interpreters, text_model

    complete = text_model.interpreted(interpreters.tensorflow(path, 2))
    for prompt in (b"Returns the", b"a", b"of the " * 60):
        complete(prompt)


def reset_peak() -> None:
    """Resets the kernel's peak of resident memory (proc(5), clear_refs), which imports have raised."""
    with contextlib.suppress(OSError):  # not Linux, or not allowed: then the peak counts the imports
        Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """The peak of this process's resident memory."""
    return _status_mib("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _status_mib(field: str) -> float:
    """A field of /proc/self/status; 0 where there is none."""
    with contextlib.suppress(OSError):
        if match := re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text()):
            return int(match[1]) / 1024
    return 0.0


if __name__ == "__main__":
    model = Path(sys.argv[1])
    is_text = model.name == "autocomplete.tflite"
    if is_text:
        import tensorflow_text  # noqa: F401  (hundreds of MiB of imports, which an app does not have)
    reset_peak()
    before = _status_mib("VmRSS")
    if is_text:
        run_text_model(model)
    elif sys.argv[1]:
        run_core(sys.argv[1])
    else:
        Interpreter(model_content=empty_model(), num_threads=2).allocate_tensors()
    print(peak_mib() - before)
