"""The text model (autocomplete.tflite) as a Python call."""

from collections.abc import Callable
from typing import Any

import numpy as np

Complete = Callable[[bytes], bytes]  # a prompt → the answer, which begins with the prompt


def interpreted(interpreter: Any) -> Complete:
    """A call of an Interpreter (`interpreters.tensorflow`).

    It calls the model as the Android app does, without a signature runner: Python's prepares the model anew in each
    call, and so restarts a fixed seed. The prompt has shape [1]: of a scalar the interpreter takes the address of the
    object for its text, and an array of bytes loses a NUL at its end.
    """
    prompt_index = interpreter.get_input_details()[0]["index"]
    text_index = interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(prompt_index, [1])
    interpreter.allocate_tensors()

    def complete(prompt: bytes) -> bytes:
        interpreter.set_tensor(prompt_index, np.array([prompt], dtype=object))
        interpreter.invoke()
        answer: bytes = interpreter.get_tensor(text_index).item()
        return answer

    return complete
