"""The model that a runtime's own memory is measured with."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from autocomplete.evaluate import peak_memory


def test_the_empty_model_runs() -> None:
    interpreter = Interpreter(model_content=peak_memory.empty_model())
    interpreter.allocate_tensors()
    index = interpreter.get_input_details()[0]["index"]
    interpreter.set_tensor(index, np.array([1.5], np.float32))
    interpreter.invoke()
    assert interpreter.get_tensor(interpreter.get_output_details()[0]["index"]) == [1.5]
