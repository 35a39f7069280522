"""Where the encoder cuts words, and what it merges in them."""

import itertools
import random

import pytest

from autocomplete.tokenizer import pre_tokenizers, tokenizer, tokenizer_json
from helpers.encoder_graphs import agreed
from helpers.learned_tokenizers import own
from helpers.small_tokenizers import YOUNG, YOUNG_TEXTS, extended, small, small_characters, token, whole_words_of

pytestmark = pytest.mark.slow


def test_words_that_are_tokens_are_whole_where_merges_are_ignored() -> None:
    """Not parts of words, nor what goes on in an added token or behind it."""
    words = ["abc", "abcd", " abc", "é", "a'", "'ll", "\n\n"]
    content = whole_words_of(*map(token, words), added=own("cde", "<x>"))
    inputs = ["abc", "abcd", " abc", "xabc", "abcx", "<x>abc<x>abcd", "abcde", "é", "aé", "a'", "I'll", "x\n\n abc"]
    ids, vocabulary = agreed(content, inputs), tokenizer_json.token_ids(content)
    assert ids[:3] == [[1000], [1001], [1002]]
    assert not {1000, 1001, 1002} & {*ids[3], *ids[4], *ids[6]}
    assert ids[5] == [vocabulary["<x>"], 1000, vocabulary["<x>"], 1001]


def test_characters_are_refused_where_merges_are_ignored_and_do_not_make_each_token() -> None:
    content = extended(small_characters(), ("a", "b"))
    agreed(content, ["ab abc"])
    content["model"]["ignore_merges"] = True
    with pytest.raises(
        tokenizer.UnsupportedTokenizerError, match=r"takes words whole that no merges make, such as '<unk>'"
    ):
        tokenizer.parse_vocabulary(content, None, (0,))


@pytest.mark.parametrize(
    ("cut", "is_separate"), [(pre_tokenizers.LLAMA3, True), (pre_tokenizers.QWEN, True), (pre_tokenizers.GPT2, False)]
)
def test_the_long_s_ends_a_contraction_where_case_is_folded(cut: str, is_separate: bool) -> None:
    content = small("ſa", "'ſ", "Sa", cut=cut)
    texts = ["don'ſa", "I'ſ", "'ſſa", "'Sa 'ſa 'Ka", "x'ſ'ſ'ſa", "’ſa", "''ſa", "ſ'ſ", " 'ſa", "\n'ſa!'ſa", "'ſ\u0301a"]
    ids = agreed(content, texts)
    assert (content["model"]["vocab"][token("ſa")] not in ids[0]) is is_separate


@pytest.mark.parametrize("cut", tokenizer.BYTE_LEVEL_PATTERNS)
def test_digits_younger_than_the_regular_expressions(cut: str) -> None:
    content = small(YOUNG[:2], f" {YOUNG[0]}", f"7{YOUNG[0]}", "  ", cut=cut)
    ids = agreed(content, YOUNG_TEXTS)
    assert (ids[0] == [content["model"]["vocab"][token(YOUNG[:2])]]) is (cut != pre_tokenizers.DIGITS)


@pytest.mark.parametrize("seed", range(6))
def test_merges_in_any_order(seed: int) -> None:
    """Whatever rank merges have, and however many make one token: SentencePiece's are like that."""
    rng, content = random.Random(seed), small()
    tokens, pairs = ["a", "b", "c"], set[tuple[str, str]]()
    while len(pairs) < 14:
        pair = rng.choice(tokens), rng.choice(tokens)
        if len("".join(pair)) < 6:
            pairs.add(pair)
            tokens.append("".join(pair))
    content = extended(content, *rng.sample(sorted(pairs), len(pairs)))
    every = ["".join(signs) for size in range(7) for signs in itertools.product("abc", repeat=size)]
    agreed(content, [*every, *("".join(rng.choices("abc ", k=40)) for _ in range(300))])


@pytest.mark.parametrize("cut", [pre_tokenizers.LLAMA3, pre_tokenizers.QWEN])
def test_line_ends_go_with_signs_or_with_white_space(cut: str) -> None:
    content = small("!\n", "\n ", " \n", "\n\n", "\r\n", "\n!", "!!", " x", "\nx", "!x", "  ", "\n1", cut=cut)
    lines = ["".join(characters) for characters in itertools.product("!\n \rx1", repeat=6)]
    agreed(content, [*lines[::47], *(line for line in lines if line[0] == "!" and "\n \n" in line)])


def test_nothing_is_merged_across_the_end() -> None:
    content = small("!!", "1!")
    assert content["model"]["vocab"]["!"] == 0  # as are the places behind
    ids = agreed(content, ["!", "!!", "!!!", "1", "1!"])
    assert [len(row) for row in ids] == [1, 1, 2, 1, 2]
