"""The bytes model as a call: of a long prompt the last whole characters are handed over."""

import pytest

from autocomplete.runtime import bytes_model
from autocomplete.runtime.tokens_model import Sampling


@pytest.mark.parametrize(
    ("text", "room", "kept"),
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
def test_a_cut_leaves_whole_characters(text: str, room: int, kept: str) -> None:
    assert bytes_model.last_characters(text.encode(), room).decode() == kept


def test_what_is_no_utf_8_is_left_alone_where_it_fits() -> None:
    assert bytes_model.last_characters(b"\x80\x80\xff", 3) == b"\x80\x80\xff"
    assert bytes_model.last_characters(b"a" + b"\x80" * 6, 6) == b"\x80" * 3  # a character has three at most


def test_a_prompt_is_padded_and_its_length_told() -> None:
    given = bytes_model.inputs("日本".encode(), 9, Sampling(seed=3), True, 5)
    assert given["prompt"].tolist() == [[*"本".encode(), 0, 0]]
    told = {name: int(given[name]) for name in ("prompt_length", "max_tokens", "complete_word", "seed")}
    assert told == {"prompt_length": 3, "max_tokens": 9, "complete_word": 1, "seed": 3}
