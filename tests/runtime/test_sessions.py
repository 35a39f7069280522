"""Calls of a core's signatures, one after the other, on one sequence."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autocomplete.runtime import sessions

SLOTS = 10


def test_the_lengths_of_prefill_rise() -> None:
    assert sessions.prefill_lengths(["decode", "prefill_128", "prefill_8", "step_4"]) == [8, 128]
    assert sessions.prefill_lengths(["decode"]) == []


@pytest.mark.parametrize(("count", "parts"), [(0, []), (1, [1]), (4, [4]), (5, [4, 1]), (8, [4, 4])])
def test_tokens_come_in_chunks_of_equal_length(count: int, parts: list[int]) -> None:
    chunks = list(sessions.padded_chunks(np.arange(1, count + 1), 4))
    assert [part for part, _ in chunks] == parts
    assert all(values.shape == (4,) for _, values in chunks)
    assert [int(v) for part, values in chunks for v in values[:part]] == list(range(1, count + 1))
    assert not any(values[part:].any() for part, values in chunks)


def test_a_token_sees_itself_and_what_came_before() -> None:
    inputs = sessions.position_inputs(np.array([5, 6]), 3, 8)
    assert inputs["input_pos"].tolist() == [3, 4]
    assert [np.flatnonzero(row == 0).tolist() for row in inputs["mask"][0, 0]] == [[0, 1, 2, 3], [0, 1, 2, 3, 4]]


class Core:
    """A core whose cache holds the tokens of its slots, and whose logits are the last token and its position."""

    def get_signature_list(self) -> list[str]:
        return ["decode", "prefill_4"]

    def get_signature_runner(self, name: str) -> Any:
        return Runner(1 if name == "decode" else 4)


class Runner:
    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def get_input_details(self) -> dict[str, Any]:
        return {
            "tokens": {"shape": [1, self.tokens], "dtype": np.int32},
            "mask": {"shape": [1, 1, self.tokens, SLOTS], "dtype": np.float32},
            "kv_cache_k_0": {"shape": [SLOTS], "dtype": np.int32},
        }

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        cache = inputs["kv_cache_k_0"].copy()
        slots = inputs["input_pos"][inputs["input_pos"] < SLOTS]
        cache[slots] = inputs["tokens"][0, : len(slots)]
        logits = np.array([[[inputs["tokens"][0, -1], inputs["input_pos"][-1]]]])
        return {"kv_cache_k_0": cache, "logits": logits}


@pytest.fixture
def cache() -> Callable[[sessions.InterpreterSession], list[int]]:
    return lambda session: session.inputs(np.array([0]))["kv_cache_k_0"].tolist()


def test_a_sequence_is_read_in_chunks_and_then_one_by_one(
    cache: Callable[[sessions.InterpreterSession], list[int]],
) -> None:
    session = sessions.InterpreterSession(Core())
    assert (session.chunks, session.slots) == ([4], SLOTS)
    session.prefill(np.arange(1, 7), 4)
    assert session.position == 6
    assert session.decode(7).tolist() == [7, 6]
    assert cache(session)[:7] == [1, 2, 3, 4, 5, 6, 7]


def test_a_new_sequence_begins_at_the_first_slot(
    cache: Callable[[sessions.InterpreterSession], list[int]],
) -> None:
    session = sessions.InterpreterSession(Core())
    session.prefill(np.arange(1, 5), 4)
    session.reset()
    assert session.decode(9).tolist() == [9, 0]
    assert cache(session)[:2] == [9, 2]
