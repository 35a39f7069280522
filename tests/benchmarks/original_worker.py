"""Runs the file of original_convert.py in the installed TensorFlow, one round of measurements for each line of input.

Usage: python original_worker.py FILE THREADS

The same script serves TF 2.12.1, where the file was built, and the project's own TensorFlow. The protocol is
protocol.py's.
"""

import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import numpy as np
import tensorflow_text
from protocol import serve
from tensorflow.lite.python import interpreter

PROMPT = b"The weather in Paris is mild in the spring, so we walked by the river"  # 16 tokens of GPT-2's vocabulary


def load(path: str, threads: int) -> Callable[[bytes], bytes]:
    """A function from prompt to answer: 100 tokens in all, keras-nlp's start token included."""
    model = interpreter.InterpreterWithCustomOps(
        model_path=path,
        num_threads=threads,
        custom_op_registerers=tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS,
    )
    model.allocate_tensors()
    call = model.get_signature_runner("serving_default")
    # an array of bytes: for a scalar of dtype object, the interpreter reads the pointer as the text
    return lambda prompt: bytes(call(prompt=np.array(prompt))["output_0"].item())


def measure(complete: Callable[[bytes], bytes]) -> dict[str, float]:
    """Measures one round. The length of the answer shows whether sampling ended early, at an end token."""
    started = time.perf_counter()
    answer = complete(PROMPT)
    seconds = time.perf_counter() - started
    if not answer.startswith(PROMPT):
        raise RuntimeError(f"the answer does not start with the prompt: {answer[:100]!r}")
    return {"seconds_100": seconds, "answer_bytes": len(answer)}


if __name__ == "__main__":
    path, threads = sys.argv[1], int(sys.argv[2])
    serve(lambda: load(path, threads), measure)
