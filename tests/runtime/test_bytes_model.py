"""Calls of the bytes model, which receives the last whole characters of a long prompt."""

import pytest

from autocomplete.runtime import bytes_model
from autocomplete.runtime.tokens_model import Sampling


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("", 4, ""),
        ("abcd", 4, "abcd"),
        ("abcde", 4, "bcde"),
        ("aé", 3, "aé"),
        ("éa", 2, "a"),
        ("日本", 5, "本"),
        ("日本", 3, "本"),
        ("日本", 2, ""),
        ("👍a", 4, "a"),
        ("👍👍", 7, "👍"),
        ("e\u0301x", 2, "x"),
    ],
)
def test_a_cut_leaves_whole_characters(text: str, limit: int, expected: str) -> None:
    assert bytes_model.last_characters(text.encode(), limit).decode() == expected


def test_bytes_that_are_not_utf_8_are_kept_where_they_fit() -> None:
    assert bytes_model.last_characters(b"\x80\x80\xff", 3) == b"\x80\x80\xff"
    # a character has at most three continuation bytes
    assert bytes_model.last_characters(b"a" + b"\x80" * 6, 6) == b"\x80" * 3


def test_a_prompt_is_padded_and_its_length_passed() -> None:
    inputs = bytes_model.inputs("日本".encode(), 9, Sampling(seed=3), True, 5)
    assert inputs["prompt"].tolist() == [[*"本".encode(), 0, 0]]
    numbers = {name: int(inputs[name]) for name in ("prompt_length", "max_tokens", "complete_word", "seed")}
    assert numbers == {"prompt_length": 3, "max_tokens": 9, "complete_word": 1, "seed": 3}
