"""Each supported pre-tokenizer of a tokenizer.json has a name, and no other pre-tokenizer has one."""

import functools
import json
from typing import Any

import pytest
import tokenizers

from autocomplete.graph import bpe_words
from autocomplete.tokenizer import pre_tokenizers, tokenizer
from autocomplete.tokenizer.pre_tokenizers import DIGITS, GPT2, LLAMA3, QWEN
from helpers import odd_texts
from helpers.toys import TEXT

Step = dict[str, Any]
Steps = tuple[str, ...]
FORMS = [(row.name, steps) for row in pre_tokenizers.PATTERNS for steps in row.steps]
NAMES = [row.name for row in pre_tokenizers.PATTERNS]
YOUNG = ["\U00011de0\U00011de1", "1\U00016ff4", "a\U00011de0!", " \U00016ff4\U00016ff5 "]


def words(**changes: Any) -> Step:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True} | changes


def split(regex: str, **changes: Any) -> Step:
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False} | changes


def digits(**changes: Any) -> Step:
    return {"type": "Digits", "individual_digits": True} | changes


def sequence(*steps: Step) -> Step:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def written(steps: Steps) -> list[Step]:
    """Steps in their short form as `tokenizers` writes them."""
    components = {"words": words(), "bytes": words(use_regex=False), "digits": digits()}
    return [components[step] if step in components else split(step) for step in steps]


def name_of(part: Step | None) -> str | None:
    return pre_tokenizers.pattern_name(pre_tokenizers.flatten(part, "pretokenizers"))


def library(part: Step) -> tokenizers.pre_tokenizers.PreTokenizer:
    """The pre-tokenizer that `tokenizers` loads from a part of tokenizer.json."""
    content = json.loads(tokenizers.Tokenizer(tokenizers.models.BPE()).to_str())
    return tokenizers.Tokenizer.from_str(json.dumps(content | {"pre_tokenizer": part})).pre_tokenizer


@functools.cache
def texts() -> list[str]:
    return [*odd_texts.strings(TEXT)[::3], "a  1 b 23", "1234 I'LL don'ſa", "!hi\n\n x\n", *YOUNG]


def cuts(part: Step) -> list[list[str]]:
    pre_tokenizer = library(part)
    return [[word for word, _ in pre_tokenizer.pre_tokenize_str(text)] for text in texts()]


@pytest.mark.parametrize("name", NAMES)
def test_a_row_is_found_from_its_own_output(name: str) -> None:
    assert name_of(pre_tokenizers.pre_tokenizer(name)) == name
    assert name_of(json.loads(library(pre_tokenizers.pre_tokenizer(name)).__getstate__())) == name


@pytest.mark.parametrize(("name", "steps"), FORMS)
def test_a_row_is_found_from_each_of_its_forms(name: str, steps: Steps) -> None:
    first, *others = parts = written(steps)
    assert name_of(sequence(*parts)) == name
    assert name_of(sequence(sequence(first), sequence(sequence(), *others))) == name
    assert name_of(json.loads(library(sequence(*parts)).__getstate__())) == name
    if not others:
        assert name_of(first) == name


def test_byte_level_without_use_regex_cuts_as_gpt2() -> None:
    """`tokenizers` reads files from before the key like this."""
    step = {key: value for key, value in words().items() if key != "use_regex"}
    assert name_of(step) == GPT2
    assert cuts(step) == cuts(words())


def test_each_form_belongs_to_one_row() -> None:
    forms = [steps for _, steps in FORMS]
    assert len(set(forms)) == len(forms) and len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize(("name", "steps"), FORMS)
def test_all_forms_of_a_row_cut_alike(name: str, steps: Steps) -> None:
    expected = cuts(pre_tokenizers.pre_tokenizer(name))
    actual = cuts(sequence(*written(steps)))
    assert [(t, a, b) for t, a, b in zip(texts(), actual, expected, strict=True) if a != b][:3] == []


def test_rows_cut_differently() -> None:
    cuts_by_row = [cuts(pre_tokenizers.pre_tokenizer(name)) for name in NAMES]
    assert all(a != b for i, a in enumerate(cuts_by_row) for b in cuts_by_row[:i])


def test_known_patterns_cut_as_their_models_do() -> None:
    """Expected words are those of OpenAI's, Meta's and Alibaba's own patterns."""
    text = "I'LL don't x1234 !a\n\n  b\r\rc"
    expected_words = {
        GPT2: ["I", "'", "LL", " don", "'t", " x", "1234", " !", "a", "\n\n ", " b", "\r", "\r", "c"],
        DIGITS: ["I", "'", "LL", " don", "'t", " x", "1", "2", "3", "4", " !", "a", "\n\n ", " b", "\r", "\r", "c"],
        LLAMA3: ["I", "'LL", " don", "'t", " x", "123", "4", " !", "a", "\n\n", " ", " b", "\r\r", "c"],
        QWEN: ["I", "'LL", " don", "'t", " x", "1", "2", "3", "4", " !", "a", "\n\n", " ", " b", "\r\r", "c"],
    }
    plain = str.maketrans({"Ġ": " ", "Ċ": "\n", "č": "\r"})
    for name, expected in expected_words.items():
        pieces = library(pre_tokenizers.pre_tokenizer(name)).pre_tokenize_str(text)
        assert [word.translate(plain) for word, _ in pieces] == expected, name


def test_graphs_support_every_row() -> None:
    assert set(NAMES) == set(bpe_words.KNOWN) == set(tokenizer.BYTE_LEVEL_PATTERNS)
    assert set(pre_tokenizers.MODEL_TYPE_PATTERNS.values()) <= set(NAMES)


_GPT2, _LLAMA3, _QWEN = (
    next(p.steps[-1][0] for p in pre_tokenizers.PATTERNS if p.name == n) for n in (GPT2, LLAMA3, QWEN)
)
BYTES = words(use_regex=False)
STRANGE = {
    "nothing": None,
    "an empty sequence": sequence(),
    "a prefix": words(add_prefix_space=True),
    "a prefix by default": {"type": "ByteLevel", "use_regex": True},
    "bytes alone": BYTES,
    "twice": sequence(words(), words()),
    "another order": sequence(words(), digits()),
    "runs of digits": sequence(digits(individual_digits=False), words()),
    "digits by default": sequence({"type": "Digits"}, words()),
    "digits alone": digits(),
    "no bytes behind": split(_LLAMA3),
    "words behind": sequence(split(_LLAMA3), words()),
    "a prefix behind": sequence(split(_LLAMA3), words(use_regex=False, add_prefix_space=True)),
    "removed": sequence(split(_LLAMA3, behavior="Removed"), BYTES),
    "merged": sequence(split(_LLAMA3, behavior="MergedWithNext"), BYTES),
    "inverted": sequence(split(_LLAMA3, invert=True), BYTES),
    "removed and inverted": sequence(split(_LLAMA3, behavior="Removed", invert=True), BYTES),
    "a string": sequence(split(_LLAMA3, pattern={"String": _LLAMA3}), BYTES),
    "a bare pattern": sequence(split(_LLAMA3, pattern=_LLAMA3), BYTES),
    "two digits": sequence(split(_LLAMA3.replace("{1,3}", "{1,2}")), BYTES),
    "another group": sequence(split(_QWEN.replace("(?i:", "(?:")), BYTES),
    "a blank more": sequence(split(f"{_GPT2} "), BYTES),
    "two splits": sequence(split(_GPT2), split(_GPT2), BYTES),
    "white space": {"type": "Whitespace"},
    "white space before": sequence({"type": "WhitespaceSplit"}, words()),
    "metaspace": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True},
    "a pattern of another kind": sequence(split(_LLAMA3, type="Cut"), BYTES),
    "the regular expression words": split("words"),
    "the regular expression words, of digits": sequence(digits(), split("words")),
    "the regular expression bytes": sequence(split(_GPT2), split("bytes")),
    "the regular expression digits": sequence(split("digits"), words()),
    "a sign more": sequence({"type": "Punctuation", "behavior": "Isolated"}, words()),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_pre_tokenizer_without_a_row_has_no_name(name: str) -> None:
    part = STRANGE[name]
    assert name_of(part) is None
    assert pre_tokenizers.describe(pre_tokenizers.flatten(part, "pretokenizers"))


def test_descriptions_have_the_steps_in_order() -> None:
    descriptions = [
        pre_tokenizers.describe(pre_tokenizers.flatten(part, "pretokenizers"))
        for part in (None, sequence(digits(), words()), sequence(split("a|b"), BYTES), {"type": "Whitespace"})
    ]
    assert descriptions[:3] == ["none", "digits + words", "a|b + bytes"]
    assert descriptions[3].startswith("Whitespace")
    assert pre_tokenizers.describe([split("digits")]).startswith("Split ")
    for step in ({"type": "Foo", "more": "x" * 999}, {"type": "\ud800\n"}, split("a\n\x1b" * 99)):
        description = pre_tokenizers.describe([step])
        assert description.isprintable()
        assert len(description) < 500


def test_sequences_are_flattened_in_order_at_any_depth() -> None:
    a, b, c = ({"type": name} for name in "abc")
    assert pre_tokenizers.flatten(sequence(sequence(a, sequence()), b, sequence(sequence(c))), "pretokenizers") == [
        a,
        b,
        c,
    ]
    assert pre_tokenizers.flatten({"type": "Sequence", "normalizers": [a, b]}, "normalizers") == [a, b]
    with pytest.raises(KeyError):
        pre_tokenizers.flatten({"type": "Sequence", "normalizers": [a, b]}, "pretokenizers")
