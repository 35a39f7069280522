"""Added and special tokens in the encoder's input."""

import itertools
from collections.abc import Callable

import pytest
import tokenizers

from autocomplete.tokenizer import tokenizer, tokenizer_json
from helpers.encoder_graphs import agreed
from helpers.learned_tokenizers import Content, completed, own
from helpers.small_tokenizers import extended, small, small_characters

pytestmark = pytest.mark.slow


def test_the_leftmost_and_longest_of_overlapping_added_tokens_are_taken() -> None:
    names = ["ab", "abc", "bcd", "cdab", "aa", "aab", "dd d", "é", "\u0301"]
    content = small("cd", "bc", "ab", added=own(*names))
    every = ["".join(signs) for size in range(6) for signs in itertools.product("abcd", repeat=size)]
    rows = agreed(content, ["aabcdab", *every, "ddd ddd d", "dd dd dd d", "aé\u0301éb", "\u00c3\u00a9é", "e\u0301ab"])
    ids = tokenizer_json.token_ids(content)
    assert {ids[name] for name in names} <= {i for row in rows for i in row}
    assert rows[0] == [ids["aab"], ids["cdab"]]


@pytest.mark.parametrize("make", [small, small_characters])
def test_added_tokens_are_not_merged(make: Callable[..., Content]) -> None:
    """Even if merges build them, and other merges build on them."""
    pairs = [("a", "b"), ("c", "ab"), ("ab", "c"), ("ab", "ab"), ("b", "a"), ("cab", "c")]
    plain = extended(make(), *pairs)
    content = completed(plain["model"], own("ab"), normalizer=plain["normalizer"], pre_tokenizer=plain["pre_tokenizer"])
    inputs = ["cab", "abc", "abab", "cabc", "babac", "aab", "abb", "c ab c"]
    ids = agreed(content, inputs)
    assert [len(row) for row in ids[:4]] == [2, 2, 2, 3]
    assert [len(row) for row in agreed(plain, inputs)[:4]] == [1, 1, 1, 1]


@pytest.mark.parametrize("cut", tokenizer.BYTE_LEVEL_PATTERNS)
def test_words_end_before_and_behind_an_added_token(cut: str) -> None:
    content = small("a ", " a", "  ", "1 ", "'s", "s ", "\n\n", "!\n", added=own("<x>"), cut=cut)
    parts = ["<x>", " ", "  ", "a", "1", "'s", "\n", "!", "<x"]
    agreed(content, ["".join(combination) for combination in itertools.product(parts, repeat=4)][::29])


def test_special_tokens_in_a_text_stay_text() -> None:
    """Also those whose names are words, or parts of words that merges make."""
    content = small(" he", "hell", "lo", "world", added=own("<|x|>", "hello", "orl", "a b", special=True) + own("<b>"))
    inputs = ["hello world", " hello", "<|x|><b>hello", "a b", "orl", "<|x|>", "world hello<b>"]
    used = {i for ids in agreed(content, inputs) for i in ids}
    hidden = [token["id"] for token in content["added_tokens"] if token["special"]]
    assert len(hidden) == 4 and not set(hidden) & used
    assert [tokenizer.parse_vocabulary(content, None, (0,)).token_bytes[i] for i in hidden] == [b""] * 4


def test_tokens_with_angle_brackets_that_are_not_special_are_text() -> None:
    names = ["<|fim|>", "</s>", "<table>", "<pad>", "<eos>"]
    for content in (small("ab", added=own(*names)), small_characters(added=own(*names))):
        ids, vocabulary = tokenizer_json.token_ids(content), tokenizer.parse_vocabulary(content, None, (0,))
        rows = agreed(content, [*names, "".join(names), f"a{names[0]} {names[1]}"])
        assert rows[: len(names)] == [[ids[name]] for name in names]
        assert [vocabulary.token_bytes[ids[name]] for name in names] == [name.encode() for name in names]


def test_a_nul_is_a_character_and_tokens_and_ends_are_none() -> None:
    content = small_characters("ab\0", own("<x>"))
    ids = agreed(content, ["a\0b", "\0", "\0<x>\0a", "<x>", "ab", ""])
    assert ids[1:4] == [[content["model"]["vocab"]["\0"]], [*ids[1], *ids[3], *ids[1], *ids[4][:1]], [ids[3][0]]]


def test_ids_with_holes_are_those_of_the_file() -> None:
    content = small("ab", added=[*own("<x>", "<y>"), *own("<z>", special=True)])
    model = content["model"]
    model["vocab"] = {token: 2 * i + 5 for token, i in model["vocab"].items()}
    for number, added_token in zip((2000, 1000, 1500), content["added_tokens"], strict=True):
        added_token["id"] = number
    raw = tokenizers.Tokenizer.from_str(tokenizer_json.serialize(content))
    assert raw.token_to_id("<x>") != 2000  # `tokenizers` numbers it anew
    assert tokenizer_json.load(content).get_vocab() == tokenizer_json.token_ids(content)
    rows = agreed(content, ["ab<x><y>", "ab<x>b<y><z>", "<y>"])
    assert rows[0] == [model["vocab"]["ab"], 2000, 1000]
