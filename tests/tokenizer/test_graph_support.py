"""The tokenizers that the graph reproduces, and the reasons why it cannot reproduce others."""

from typing import Any

import pytest

from autocomplete.tokenizer import graph_support, tokenizer_rules
from autocomplete.tokenizer.pre_tokenizers import SPACE_MARKER
from helpers.tokenizer_contents import (
    METASPACE,
    NFC,
    PLACE,
    REPLACE,
    Content,
    added,
    characters,
    completed,
    content,
    model,
    pre_tokenizer_sequence,
)


def reason(parts: Content) -> str | None:
    complete = completed(parts)
    return graph_support.unsupported_reason(complete, tokenizer_rules.read_rules(complete, PLACE))


SUPPORTED: dict[str, Content] = {
    "bytes": content(),
    "bytes in NFC": content(normalizer=NFC, added_tokens=[added("<x>"), added("<s>", 10, special=True)]),
    "characters": content(model=characters(), normalizer=REPLACE, pre_tokenizer=None),
    "characters by Metaspace": content(model=characters(), pre_tokenizer=METASPACE),
    "whole words": content(model=model(ignore_merges=True)),
}


@pytest.mark.parametrize("name", SUPPORTED)
def test_the_graph_reproduces_tokenizers_of_real_models(name: str) -> None:
    assert reason(SUPPORTED[name]) is None


def without_space(**changes: Any) -> Content:
    bpe = characters(**changes)
    return bpe | {"vocab": {t: i for t, i in bpe["vocab"].items() if t != SPACE_MARKER}}


UNSUPPORTED: dict[str, tuple[Content, str]] = {
    "an unknown cut": (
        content(
            pre_tokenizer=pre_tokenizer_sequence(
                {"type": "Punctuation", "behavior": "Isolated"}, content()["pre_tokenizer"]
            )
        ),
        "for which there is no rule",
    ),
    "no merges": (content(model=model(merges=[])), "has no merges"),
    "a token that takes blanks along": (content(added_tokens=[added("<x>", lstrip=True)]), "'<x>' matches more than"),
    "a prefix between tokens": (
        content(model=characters(), pre_tokenizer=METASPACE, added_tokens=[added("<x>")]),
        "is put before each part between added tokens such as '<x>'",
    ),
    "no token for a blank": (content(model=without_space(), normalizer=REPLACE, pre_tokenizer=None), 'lacks "▁"'),
    "bytes without tokens": (
        content(model=characters(byte_fallback=True), normalizer=REPLACE, pre_tokenizer=None),
        "lacks the tokens of some bytes",
    ),
    "a token in another form": (
        content(normalizer=NFC, added_tokens=[added("e\u0301")]),
        "is not in the form NFC",
    ),
    "raw and normalized tokens": (
        content(added_tokens=[added("<x>"), added("<y>", 10, normalized=True)]),
        "some added tokens match in the raw text",
    ),
    "a token of one character": (
        content(model=characters(), normalizer=REPLACE, pre_tokenizer=None, added_tokens=[added("☃")]),
        "'☃' is a single character",
    ),
    "words beside an unknown token": (
        content(model=model(ignore_merges=True, unk_token="a")),
        "combined with an unknown token",
    ),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_the_reason_why_a_tokenizer_is_not_reproduced(name: str) -> None:
    parts, expected = UNSUPPORTED[name]
    message = reason(parts)
    assert message is not None and expected in message


def test_tokens_that_no_merges_build_are_listed() -> None:
    extended = model(vocab=model()["vocab"] | {"ba": 7})
    assert graph_support.unmerged_tokens(completed(content(model=extended))) == ["ba"]
