"""The tokenizer's files in a bundle: apps get the same ids, and no text becomes a special token."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
import tokenizers
from tokenizers import models, trainers

from autocomplete.tokenizer import pre_tokenizers, tokenizer, tokenizer_json
from helpers import odd_texts
from helpers.tokenizer_contents import (
    BYTES,
    METASPACE,
    TEXT_ITSELF,
    Content,
    characters,
    completed,
    content,
    processors_of,
    template,
)
from helpers.toys import TEXT


def trained(words: str, added_tokens: list[Content], **changes: Any) -> Content:
    """A byte-level BPE with tokens after its vocabulary, the first of which is put before each text."""
    bpe = tokenizers.Tokenizer(models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = list(tokenizer.bytes_to_unicode().values())
    bpe.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    model = json.loads(bpe.to_str())["model"] | changes
    size = max(model["vocab"].values()) + 1
    tokens = [{"id": size + i} | token for i, token in enumerate(added_tokens)]
    start = template({"SpecialToken": {"id": "<s>", "type_id": 0}}, TEXT_ITSELF)
    start["special_tokens"] = {"<s>": {"id": "<s>", "ids": [tokens[0]["id"]], "tokens": ["<s>"]}}
    return completed(
        {
            "added_tokens": tokens,
            "pre_tokenizer": pre_tokenizers.pre_tokenizer(words),
            "model": model,
            "post_processor": processors_of(BYTES, start),
        }
    )


SPECIAL: list[Content] = [{"content": name, "special": True} for name in ("<s>", "<|x|>", "hello", "a b", " ", "\n\n")]
OTHERS: list[Content] = [{"content": name} for name in ("<table>", "</s>", "  ", "xyz")]
STRINGS = ["", "<s>", "<|x|>", "hello", " hello<|x|>", "a b", " ", "\n\n", "<s><table>\n\n  x", "wxyzing</s>", "  xyz "]


def strings() -> list[str]:
    rng = random.Random(3)
    parts = [token["content"] for token in [*SPECIAL, *OTHERS]]
    mixed = ["".join(rng.choices([*parts, *STRINGS, "x", "é"], k=rng.randint(1, 9))) for _ in range(300)]
    return [*STRINGS, *mixed, *odd_texts.strings(TEXT)[::20]]


CLIENTS: dict[str, Callable[[], Content]] = {
    "special tokens first": lambda: trained(pre_tokenizers.GPT2, [*SPECIAL, *OTHERS]),
    "special tokens last": lambda: trained(pre_tokenizers.QWEN, [SPECIAL[0], *OTHERS, *SPECIAL[1:]]),
    "holes": lambda: trained(pre_tokenizers.GPT2, [t | {"id": 900 - 7 * i} for i, t in enumerate([*SPECIAL, *OTHERS])]),
    "whole words": lambda: trained(pre_tokenizers.LLAMA3, [*SPECIAL[:2], *OTHERS], ignore_merges=True),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_apps_encode_no_text_as_a_special_token_and_get_the_same_ids_otherwise(name: str) -> None:
    complete = CLIENTS[name]()
    texts, ids = strings(), tokenizer_json.token_ids(complete)
    app = tokenizers.Tokenizer.from_str(tokenizer_json.serialize(tokenizer_json.for_clients(complete)))
    expected = [encoding.ids for encoding in tokenizer_json.load(complete).encode_batch(texts)]
    encoded = [encoding.ids for encoding in app.encode_batch(texts)]
    assert [(t, a, b) for t, a, b in zip(texts, encoded, expected, strict=True) if a != b] == []
    used = {i for token_ids in encoded for i in token_ids}
    assert not {token["id"] for token in complete["added_tokens"] if token["special"]} & used
    assert {ids[str(token["content"])] for token in OTHERS} <= used
    assert app.get_vocab() == tokenizer_json.load(complete).get_vocab() == ids
    assert encoded[0] == [] and complete["post_processor"] is not None


def test_tokenizers_itself_would_encode_special_tokens_and_put_one_first() -> None:
    """Otherwise the tests above would prove nothing."""
    complete = CLIENTS["special tokens first"]()
    plain, ids = (
        tokenizers.Tokenizer.from_str(tokenizer_json.serialize(complete)),
        tokenizer_json.token_ids(complete),
    )
    assert plain.encode("<|x|>").ids == [ids["<s>"], ids["<|x|>"]]


def test_apps_decode_ids_to_the_same_text() -> None:
    complete = CLIENTS["holes"]()
    app = tokenizers.Tokenizer.from_str(tokenizer_json.serialize(tokenizer_json.for_clients(complete)))
    for text in strings():
        assert app.decode(app.encode(text).ids) == text


def test_clients_of_byte_level_tokenizers_get_two_simpler_files() -> None:
    complete = CLIENTS["special tokens last"]()
    files = tokenizer_json.client_files(complete)
    assert set(files) == {"tokenizer.json", "vocabulary.json", "merges.txt"}
    assert files["tokenizer.json"].decode() == tokenizer_json.serialize(tokenizer_json.for_clients(complete))
    assert json.loads(files["vocabulary.json"]).items() >= complete["model"]["vocab"].items()
    version, *lines, last = files["merges.txt"].decode().split("\n")
    assert (version, last) == ("#version: 0.2", "")
    assert [line.split(" ") for line in lines] == complete["model"]["merges"]
    assert set(tokenizer_json.client_files(completed(content(model=characters(), pre_tokenizer=METASPACE)))) == {
        "tokenizer.json"
    }
