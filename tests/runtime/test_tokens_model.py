"""Calls of the tokens model: the inputs of its signature, and the valid part of its outputs."""

from typing import Any

import numpy as np
import pytest

from autocomplete.runtime import tokens_model
from autocomplete.runtime.tokens_model import Sampling
from autocomplete.tflite.signatures import COMPLETE_WORD


class Model:
    """An interpreter whose model returns the prompt and one more token, followed by invalid tokens."""

    def __init__(self, *inputs: str) -> None:
        self.inputs: dict[str, Any] = {}
        self.details = {"tokens": {"shape": [1, 6]}} | {name: {"shape": []} for name in inputs}

    def get_signature_runner(self, name: str) -> "Model":
        return self

    def get_input_details(self) -> dict[str, Any]:
        return self.details

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        self.inputs = inputs
        count = int(inputs["length"])
        tokens = np.full((1, 6), 99, np.int32)
        tokens[0, :count] = inputs["tokens"][0, :count]
        tokens[0, count] = 7
        return {"tokens": tokens, "length": np.array(count + 1, np.int32)}


def test_the_prompt_is_padded_and_the_answer_cut() -> None:
    model = Model()
    assert tokens_model.interpreted(model)([3, 4], 6, Sampling()) == [3, 4, 7]
    assert model.inputs["tokens"].tolist() == [[3, 4, 0, 0, 0, 0]]
    assert (int(model.inputs["length"]), int(model.inputs["max_length"])) == (2, 6)


def test_an_empty_prompt_is_accepted() -> None:
    assert tokens_model.interpreted(Model())([], 6, Sampling()) == [7]


def test_numbers_have_the_types_of_their_inputs() -> None:
    model = Model()
    tokens_model.interpreted(model)([3], 6, Sampling(0.5, 5, 0.9, 11))
    types = {name: value.dtype for name, value in model.inputs.items()}
    assert {name for name, kind in types.items() if kind == np.float32} == {"temperature", "top_p"}
    assert all(kind in (np.int32, np.float32) for kind in types.values())
    assert [float(model.inputs[n]) for n in ("temperature", "top_k", "seed")] == [0.5, 5, 11]


@pytest.mark.parametrize("inputs", [(), (COMPLETE_WORD,)])
def test_a_word_is_not_completed_by_default(inputs: tuple[str, ...]) -> None:
    model = Model(*inputs)
    tokens_model.interpreted(model)([3], 6, Sampling())
    assert model.inputs.get(COMPLETE_WORD, None) == (0 if inputs else None)
