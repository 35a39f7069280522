"""The rules of a tokenizer.json; what cannot be reproduced exactly is refused."""

import dataclasses
from typing import Any

import pytest

from autocomplete.tokenizer import pre_tokenizers, tokenizer_rules
from autocomplete.tokenizer.pre_tokenizers import SPACE_MARKER
from helpers.tokenizer_contents import (
    AT_BLANKS,
    BYTES,
    METASPACE,
    NFC,
    PLACE,
    PREPEND,
    REPLACE,
    Content,
    added,
    characters,
    completed,
    content,
    model,
    normalizers,
    pre_tokenizer_sequence,
    refused,
)


def rules(**changes: Any) -> tokenizer_rules.Rules:
    return tokenizer_rules.read_rules(completed(content(**changes)), PLACE)


def of_characters(**changes: Any) -> tokenizer_rules.Rules:
    return rules(**({"model": characters(), "pre_tokenizer": None} | changes))


def test_rules_of_byte_level_tokenizers() -> None:
    plain = rules()
    assert (plain.byte_level, plain.pattern, plain.pre_tokenizer) == (True, pre_tokenizers.GPT2, "words")
    assert (plain.nfc, plain.space_prefix, plain.added_tokens, plain.special_tokens, plain.flagged_tokens) == (
        False,
        "never",
        (),
        frozenset(),
        (),
    )
    assert rules(normalizer=NFC).nfc and rules(normalizer=normalizers(NFC, normalizers(NFC))).nfc
    assert not rules(normalizer=normalizers()).nfc
    digits = pre_tokenizer_sequence({"type": "Digits", "individual_digits": True}, BYTES)
    assert rules(pre_tokenizer=digits).pattern == pre_tokenizers.DIGITS
    unknown = rules(pre_tokenizer=pre_tokenizer_sequence({"type": "Punctuation", "behavior": "Isolated"}, BYTES))
    assert (unknown.byte_level, unknown.pattern) == (True, None)
    assert unknown.pre_tokenizer.startswith("Punctuation") and unknown.pre_tokenizer.endswith("+ words")


SCHEMES = {"first": "missing", "always": "missing", "never": "never"}


def test_rules_of_character_tokenizers() -> None:
    replaced = of_characters(normalizer=REPLACE)
    assert (replaced.byte_level, replaced.pattern, replaced.space_prefix) == (
        False,
        pre_tokenizers.SENTENCEPIECE,
        "never",
    )
    llama = of_characters(normalizer=normalizers(PREPEND, REPLACE))
    assert (llama.pattern, llama.space_prefix, llama.nfc) == (pre_tokenizers.SENTENCEPIECE, "always", False)
    removed = AT_BLANKS | {"behavior": "Removed"}
    for cut in (AT_BLANKS, removed, pre_tokenizer_sequence(AT_BLANKS, AT_BLANKS), pre_tokenizer_sequence()):
        actual = of_characters(normalizer=normalizers(REPLACE), pre_tokenizer=cut)
        assert dataclasses.replace(actual, pre_tokenizer="none") == replaced


@pytest.mark.parametrize("scheme", SCHEMES)
def test_rules_of_metaspace(scheme: str) -> None:
    for split, words in ((True, pre_tokenizers.METASPACE), (False, pre_tokenizers.SENTENCEPIECE)):
        actual = of_characters(pre_tokenizer=METASPACE | {"prepend_scheme": scheme, "split": split})
        assert (actual.byte_level, actual.pattern, actual.space_prefix) == (False, words, SCHEMES[scheme])
    bare = {"type": "Metaspace", "replacement": SPACE_MARKER}
    assert of_characters(pre_tokenizer=bare).space_prefix == "missing"
    assert of_characters(pre_tokenizer=bare).pattern == pre_tokenizers.METASPACE
    assert of_characters(pre_tokenizer=bare | {"add_prefix_space": False}).space_prefix == "never"
    assert (
        of_characters(pre_tokenizer=pre_tokenizer_sequence(bare | {"add_prefix_space": True})).space_prefix == "missing"
    )


def test_added_tokens_match_in_text_unless_they_are_special() -> None:
    tokens = [added("<x>"), added("<s>", 10, special=True), added("y", 11), added("</s>", 12, special=True)]
    actual = rules(added_tokens=tokens)
    assert (actual.added_tokens, actual.flagged_tokens) == (("<x>", "y"), ())
    assert actual.special_tokens == {"<s>", "</s>"}
    unknown = rules(added_tokens=tokens, model=model(unk_token="b"))
    assert unknown.special_tokens == {"<s>", "</s>", "b"}


@pytest.mark.parametrize("flag", ["single_word", "lstrip", "rstrip"])
def test_added_tokens_with_matching_flags_are_listed(flag: str) -> None:
    tokens = [added("<x>"), added("<y>", 10, **{flag: True}), added("<s>", 11, special=True, **{flag: True})]
    assert rules(added_tokens=tokens).flagged_tokens == ("<y>",)


def test_added_tokens_with_blanks_that_are_rewritten_are_listed() -> None:
    names = [" x", f"x{SPACE_MARKER}", "x"]
    for normalized, expected in ((True, tuple(names[:2])), (False, ())):
        tokens = [added(name, 9 + i, normalized=normalized) for i, name in enumerate(names)]
        assert of_characters(normalizer=REPLACE, added_tokens=tokens).flagged_tokens == expected
        assert rules(added_tokens=tokens).flagged_tokens == ()


LOWER = {"type": "Lowercase"}
REFUSED: dict[str, tuple[Content, str]] = {
    "NFKC": (content(normalizer={"type": "NFKC"}), "normalizer NFKC"),
    "Lowercase": (content(normalizer=normalizers(NFC, LOWER)), "normalizer Lowercase"),
    "NFC of characters": (content(model=characters(), normalizer=NFC, pre_tokenizer=None), "normalizer NFC"),
    "NFC before Metaspace": (content(normalizer=NFC, pre_tokenizer=METASPACE), "normalizer NFC"),
    "Prepend of another sign": (content(normalizer={"type": "Prepend", "prepend": "_"}), "normalizer Prepend"),
    "Prepend behind Replace": (content(normalizer=normalizers(REPLACE, PREPEND)), "normalizer Prepend"),
    "Prepend twice": (content(normalizer=normalizers(PREPEND, PREPEND, REPLACE)), "normalizer Prepend"),
    "Replace of another sign": (
        content(normalizer=REPLACE | {"pattern": {"String": "a"}}, pre_tokenizer=None),
        "normalizer Replace",
    ),
    "Replace by another sign": (content(normalizer=REPLACE | {"content": "_"}), "normalizer Replace"),
    "Replace of a pattern": (content(normalizer=REPLACE | {"pattern": {"Regex": " "}}), "normalizer Replace"),
    "Strip": (content(normalizer={"type": "Strip", "strip_left": True, "strip_right": True}), "normalizer Strip"),
    "a blank before bytes": (content(normalizer=REPLACE), "byte-level"),
    "a prefix before bytes": (content(normalizer=PREPEND), "byte-level"),
    "nothing": (content(pre_tokenizer=None), "pre_tokenizer is none"),
    "a prefix alone": (content(normalizer=PREPEND, pre_tokenizer=None), "pre_tokenizer is none"),
    "Whitespace": (content(pre_tokenizer={"type": "Whitespace"}), "pre_tokenizer is Whitespace"),
    "blanks cut away": (content(pre_tokenizer=AT_BLANKS), "pre_tokenizer is"),
    "words behind blanks": (content(normalizer=REPLACE, pre_tokenizer={"type": "Whitespace"}), "pre_tokenizer is"),
    "a split elsewhere": (
        content(normalizer=REPLACE, pre_tokenizer=AT_BLANKS | {"pattern": {"String": "a"}}),
        "pre_tokenizer is",
    ),
    "a split that removes all but blanks": (
        content(normalizer=REPLACE, pre_tokenizer=AT_BLANKS | {"behavior": "Removed", "invert": True}),
        "pre_tokenizer is",
    ),
    "an inverted split behind another": (
        content(normalizer=REPLACE, pre_tokenizer=pre_tokenizer_sequence(AT_BLANKS, AT_BLANKS | {"invert": True})),
        "pre_tokenizer is",
    ),
    "Metaspace with another sign": (content(pre_tokenizer=METASPACE | {"replacement": "_"}), "pre_tokenizer is"),
    "Metaspace twice": (content(pre_tokenizer=pre_tokenizer_sequence(METASPACE, METASPACE)), "pre_tokenizer is"),
    "Metaspace behind blanks": (content(normalizer=REPLACE, pre_tokenizer=METASPACE), "pre_tokenizer is"),
    "Metaspace behind a prefix": (content(normalizer=PREPEND, pre_tokenizer=METASPACE), "pre_tokenizer is"),
    "Metaspace and digits": (
        content(pre_tokenizer=pre_tokenizer_sequence({"type": "Digits", "individual_digits": True}, METASPACE)),
        "pre_tokenizer is digits",
    ),
    "a list as normalizer": (content(normalizer=[]), "normalizer is"),
    "a string as normalizer": (content(normalizer=normalizers("NFC")), "normalizer is"),
    "a list as pre_tokenizer": (content(pre_tokenizer=["a"]), "pre_tokenizer is"),
    "a sequence of nothing": (content(pre_tokenizer={"type": "Sequence"}), "pre_tokenizer is"),
    "a sequence of null": (content(normalizer={"type": "Sequence", "normalizers": None}), "normalizer is"),
    "no kind": (content(normalizer={}), "normalizer"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_unsupported_steps_are_refused(name: str) -> None:
    unsupported, key = REFUSED[name]
    refused(lambda: tokenizer_rules.read_rules(completed(unsupported), PLACE), key)
