"""Corner cases of tokenizer.json, which the encoder does exactly or refuses; most occur in no known model."""

from collections.abc import Callable

import pytest

from autocomplete.common.errors import UserError
from autocomplete.tokenizer import pre_tokenizers, tokenizer, unreachable_tokens
from helpers.encoder_graphs import agreed, in_apps
from helpers.learned_tokenizers import BLANK, BYTES, CHARACTERS, NFC, PREFIX, UNKNOWN, Content, own
from helpers.small_tokenizers import YOUNG, YOUNG_TEXTS, small, small_characters, whole_words_of

pytestmark = pytest.mark.slow


def with_step(step: Content, content: Content) -> Content:
    return content | {"pre_tokenizer": step}


def split(pattern: str) -> Content:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def without(content: Content, *tokens: str) -> Content:
    """A tokenizer.json whose vocabulary lacks some tokens that no merge uses."""
    vocabulary = {t: i for t, i in content["model"]["vocab"].items() if t not in tokens}
    return content | {"model": content["model"] | {"vocab": vocabulary}}


MARK = "\u0338"  # composes with the sign > before it
SHORT = [r"\p{N}", pre_tokenizers.PATTERNS[0].steps[1][0]]
NUMBERS = {
    "type": "Sequence",
    "pretokenizers": [*map(split, SHORT), pre_tokenizers.pre_tokenizer(pre_tokenizers.GPT2) | {"use_regex": False}],
}
FROM_METASPACE = {"type": "Metaspace", "replacement": BLANK, "prepend_scheme": "first", "split": True}

CORNERS: dict[str, tuple[Callable[[], Content], list[str]]] = {
    "a mark behind a token": (
        lambda: small("ab", added=own("<x>", "<y>"), normalizer=NFC),
        [f"<x>{MARK}", f"a<x>\u0323{MARK}<y>", f"<x{MARK}>", "e\u0301<x>e\u0301\u0323<y>e\u0301", "\u0301<x>\u0301"],
    ),
    "a token in another form": (
        lambda: small("ab", added=own("e\u0301") + own("o\u0301", normalized=True), normalizer=NFC),
        ["e\u0301", "é", "o\u0301", "ó", "ae\u0301\u0323o\u0301b", "o\u0323\u0301"],
    ),
    "tokens of the raw text before those of the normalized": (
        lambda: small("ab", added=own("a b", "ab", normalized=True) + own("b c", "bc")),
        ["a b c", "a b", "abc", "ab", "b c", "abbc", "a abc"],
    ),
    "the same in characters": (
        lambda: small_characters("abcd", own("ab", "da", normalized=True) + own("bc", "cd")),
        ["abc", "ab", "abcd", "dabcd", "cda"],
    ),
    "a special token over an added one": (
        lambda: small("ab", added=own("<s>", "abx", special=True) + own("bxc", "<s")),
        ["abxc", "<s>", "abxbxc"],
    ),
    "a special token that is a character": (
        lambda: small_characters(added=own("☃", special=True)),
        ["☃", "a☃b"],
    ),
    "a special token that is a word": (
        lambda: without(small("ab", added=own("abc", special=True), model={"ignore_merges": True}), "qqq"),
        ["abc", "ab abc"],
    ),
    "the same behind a hole": (
        lambda: small("ab", added=[{"id": 999, "content": "abc", "special": True}], model={"ignore_merges": True}),
        ["abc", "ab abc"],
    ),
    "a special token of the vocabulary that is a word": (
        lambda: whole_words_of("abc", added=own("abc", special=True)),
        ["abc", "abc abcd"],
    ),
    "an unknown token beside whole words": (
        lambda: whole_words_of(UNKNOWN, unk_token=UNKNOWN),
        [UNKNOWN, "unk", "<unk", "ab"],
    ),
    "an unknown token that is a word": (
        lambda: whole_words_of("unk", unk_token="unk"),
        [UNKNOWN, "unk", " unk", "ab"],
    ),
    "whole words in other signs": (
        lambda: whole_words_of("☃", " a", "Ġab", "日本"),
        ["☃", " a", " ab", "日本", "a☃ b"],
    ),
    "whole words of what has no token": (
        lambda: without(whole_words_of("xa"), "x"),
        ["xa", "xab"],
    ),
    "no blank": (lambda: without(small_characters(), BLANK), ["ab", "a b"]),
    "no blank to put before": (lambda: without(small_characters(normalizer=PREFIX), BLANK), ["ab", "a b"]),
    "no blank to cut at": (
        lambda: without(small_characters(normalizer=None, pre_tokenizer=FROM_METASPACE), BLANK),
        ["ab", "a b"],
    ),
    "digits by a regular expression": (
        lambda: with_step(NUMBERS, small(YOUNG[:2], "77", f"7{YOUNG[0]}", "  ", "½½")),
        ["77 ½½", *YOUNG_TEXTS],
    ),
    "no merges": (lambda: small(model={"merges": []}), ["ab", "qq"]),
    "bytes for characters that stand for bytes": (
        lambda: without(small("ab", *BYTES, model={"byte_fallback": True}), CHARACTERS[0]),
        ["a\0b", "\0"],
    ),
}


# The graph normalizes a text before it looks for tokens, `tokenizers` after it has found those that are not normalized.
@pytest.mark.parametrize("name", list(CORNERS))
def test_corners_are_encoded_exactly_or_refused(name: str) -> None:
    content, inputs = CORNERS[name][0](), CORNERS[name][1]
    try:
        unreachable_tokens.require(content, "toy")
        tokenizer.parse_vocabulary(content, None, (0,))
    except (tokenizer.UnsupportedTokenizerError, UserError):
        return
    assert in_apps(content, inputs) == agreed(content, inputs)
