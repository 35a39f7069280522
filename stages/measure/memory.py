"""A fresh process that runs one core and prints its peak resident memory in MiB.

Usage: python -m stages.measure.memory FILE

An empty name measures an interpreter with an empty model: what the runtime itself takes.
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


def forget_imports() -> None:
    """Resets the kernel's high-water mark (proc(5), clear_refs), which loading Python packages has raised."""
    with contextlib.suppress(OSError):  # not Linux, or not allowed: the mark then counts the imports, in both processes
        Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """The high-water mark of resident memory."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    forget_imports()
    if sys.argv[1]:
        exercise(sys.argv[1])
    else:
        Interpreter(model_content=empty_model(), num_threads=2).allocate_tensors()
    print(peak_mib())
