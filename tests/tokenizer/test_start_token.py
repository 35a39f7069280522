"""The token that a tokenizer.json puts before a text."""

import json
from typing import Any

import pytest
import tokenizers
from tokenizers import processors

from autocomplete.tokenizer import tokenizer_json
from helpers.tokenizer_contents import (
    BYTES,
    PLACE,
    TEXT_ITSELF,
    A,
    completed,
    content,
    processors_of,
    refused,
    template,
)

B = {"SpecialToken": {"id": "b", "type_id": 0}}
STARTS: dict[str, tuple[Any, int | None]] = {
    "null": (None, None),
    "bytes": (BYTES, None),
    "an empty sequence": (processors_of(), None),
    "the text alone": (template(TEXT_ITSELF), None),
    "a token": (template(A, TEXT_ITSELF), 0),
    "a token by the vocabulary": (template(B, TEXT_ITSELF), 1),
    "a token by its own id": (template(A, TEXT_ITSELF, special_tokens={"a": {"id": "a", "ids": [3]}}), 3),
    "Llama 3": (processors_of(BYTES, template(A, TEXT_ITSELF)), 0),
    "behind it bytes": (processors_of(processors_of(template(A, TEXT_ITSELF)), BYTES), 0),
}


@pytest.mark.parametrize("name", STARTS)
def test_the_start_token_comes_from_the_post_processor(name: str) -> None:
    post_processor, expected = STARTS[name]
    assert tokenizer_json.start_token_id(completed(content(post_processor=post_processor)), PLACE) == expected


def test_the_start_token_is_the_one_of_tokenizers() -> None:
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(completed(content())))
    for start, single in ((0, "a $A"), (None, "$A"), (4, "Ġab $0")):
        tokens = [("a", 0), ("Ġab", 4)]
        template = processors.TemplateProcessing(single=single, pair="$A $B", special_tokens=tokens)
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
        assert tokenizer_json.start_token_id(completed(json.loads(tokenizer.to_str())), PLACE) == start
        assert tokenizer.encode("b").ids == ([] if start is None else [start]) + [1]


NO_STARTS: dict[str, Any] = {
    "a token behind": template(TEXT_ITSELF, A),
    "tokens around": template(A, TEXT_ITSELF, A),
    "two tokens": template(A, B, TEXT_ITSELF),
    "the text twice": template(TEXT_ITSELF, TEXT_ITSELF),
    "no text": template(A),
    "nothing": template(),
    "two templates": processors_of(template(A, TEXT_ITSELF), template(B, TEXT_ITSELF)),
    "BERT": {"type": "BertProcessing", "sep": ["b", 1], "cls": ["a", 0]},
    "RoBERTa": {"type": "RobertaProcessing", "sep": ["b", 1], "cls": ["a", 0], "trim_offsets": True},
    "no single": {"type": "TemplateProcessing"},
    "an unknown token": template({"SpecialToken": {"id": "<s>", "type_id": 0}}, TEXT_ITSELF),
    "an id of no token": template(A, TEXT_ITSELF, special_tokens={"a": {"id": "a", "ids": [99]}}),
    "two ids": template(A, TEXT_ITSELF, special_tokens={"a": {"id": "a", "ids": [0, 1]}}),
    "a string as part": template("a", TEXT_ITSELF),
    "null in a part": template({"SpecialToken": None}, TEXT_ITSELF),
    "a list as post_processor": [],
}


@pytest.mark.parametrize("name", NO_STARTS)
def test_other_post_processors_are_refused(name: str) -> None:
    refused(
        lambda: tokenizer_json.start_token_id(completed(content(post_processor=NO_STARTS[name])), PLACE),
        "post_processor",
    )
