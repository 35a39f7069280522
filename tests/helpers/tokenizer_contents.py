"""Contents of tokenizer.json, a few tokens long."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from autocomplete.common.errors import UserError
from autocomplete.tokenizer import tokenizer_json
from autocomplete.tokenizer.pre_tokenizers import SPACE_MARKER

Content = dict[str, Any]
PLACE = "here/tokenizer.json"

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
NFC = {"type": "NFC"}
PREPEND = {"type": "Prepend", "prepend": SPACE_MARKER}
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE_MARKER}
METASPACE = {"type": "Metaspace", "replacement": SPACE_MARKER, "prepend_scheme": "first", "split": True}
AT_BLANKS = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}


def model(**changes: Any) -> Content:
    """A BPE of three bytes, a blank among them."""
    bpe = {"type": "BPE", "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġab": 4}, "merges": [["a", "b"], ["Ġ", "ab"]]}
    return bpe | changes


def characters(**changes: Any) -> Content:
    vocab = {"<unk>": 0, SPACE_MARKER: 1, "a": 2, "b": 3, "ab": 4}
    return {"type": "BPE", "vocab": vocab, "merges": [["a", "b"]], "unk_token": "<unk>"} | changes


def content(**changes: Any) -> Content:
    return {"pre_tokenizer": BYTES, "model": model()} | changes


def completed(parts: Any, model_type: str = "") -> Content:
    return tokenizer_json.complete(parts, model_type, PLACE)


def normalizers(*steps: Any) -> Content:
    return {"type": "Sequence", "normalizers": list(steps)}


def pre_tokenizer_sequence(*steps: Content) -> Content:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def added(name: str, number: int = 9, **flags: Any) -> Content:
    return {"id": number, "content": name} | flags


def refused(call: Callable[[], Any], key: str) -> None:
    """Asserts that the message names the file, the key, and the allowed values."""
    with pytest.raises(UserError) as raised:
        call()
    message = str(raised.value)
    assert message.startswith(PLACE), message
    assert re.search(key, message), message
    assert "allowed: " in message or "save" in message, message
    assert "\n" not in message and len(message) < 500


VOCAB = model()["vocab"]


def template(*parts: Any, **more: Any) -> Content:
    special_tokens = {"a": {"id": "a", "ids": [0], "tokens": ["a"]}}
    return {"type": "TemplateProcessing", "single": list(parts), "pair": [], "special_tokens": special_tokens} | more


def processors_of(*steps: Content) -> Content:
    return {"type": "Sequence", "processors": list(steps)}


A, TEXT_ITSELF = {"SpecialToken": {"id": "a", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
