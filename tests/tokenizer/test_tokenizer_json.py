"""tokenizer.json: missing keys get defaults, and damaged files are refused."""

import json
from typing import Any

import pytest
import tokenizers

from autocomplete.tokenizer import pre_tokenizers, tokenizer_json, tokenizer_rules
from autocomplete.tokenizer.pre_tokenizers import SPACE_MARKER
from helpers.tokenizer_contents import (
    BYTES,
    METASPACE,
    NFC,
    PLACE,
    VOCAB,
    Content,
    added,
    characters,
    completed,
    content,
    model,
    refused,
)

FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


def test_missing_keys_get_defaults() -> None:
    complete = completed({"pre_tokenizer": None, "model": {"vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})
    assert complete == {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": BYTES,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {"a": 0, "b": 1, "ab": 2},
            "merges": [["a", "b"]],
        },
    }
    assert completed(complete) == complete
    assert tokenizers.Tokenizer.from_str(json.dumps(complete)).encode("aab").ids == [0, 2]


def test_existing_keys_are_kept() -> None:
    processor = {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}
    parts = {"normalizer": NFC, "pre_tokenizer": METASPACE, "post_processor": processor, "decoder": {"type": "Fuse"}}
    flags = {"fuse_unk": True, "byte_fallback": True, "ignore_merges": True, "unk_token": "a"}
    complete = completed({**parts, "model": model(**flags)}, "qwen2")
    assert {key: complete[key] for key in parts} == parts
    assert {key: complete["model"][key] for key in flags} == flags


def test_truncation_and_padding_are_removed() -> None:
    """The tokenizer of a released model may truncate texts to 512 tokens, or pad them."""
    truncation = {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}
    padding = {"strategy": {"Fixed": 9}, "direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "a"}
    with_limits = content(truncation=truncation, padding={**padding, "pad_to_multiple_of": None})
    assert len(tokenizer_json.load(completed(with_limits)).encode("ab ab").ids) == 2


@pytest.mark.parametrize("value", [None, 0, 0.0])
def test_values_without_effect_are_allowed(value: Any) -> None:
    bpe = model(dropout=value, continuing_subword_prefix="", end_of_word_suffix="")
    assert completed(content(model=bpe))["model"] == completed(content())["model"]


def test_merges_may_be_strings_or_pairs() -> None:
    pairs, strings = (completed(content(model=model(merges=m))) for m in (model()["merges"], ["a b", "Ġ ab"]))
    assert pairs == strings
    assert strings["model"]["merges"] == [["a", "b"], ["Ġ", "ab"]]


def test_a_model_with_merges_and_no_type_is_a_bpe() -> None:
    bpe = model()
    del bpe["type"]
    assert completed(content(model=bpe)) == completed(content())


def test_missing_flags_of_added_tokens_are_off() -> None:
    tokens = [added("<x>"), added("<y>", 10, special=True, normalized=True, more="x")]
    first, second = completed(content(added_tokens=tokens))["added_tokens"]
    assert first == added("<x>") | dict.fromkeys(FLAGS, False)
    assert second == added("<y>", 10) | dict.fromkeys(FLAGS, False) | {"special": True, "normalized": True}
    assert completed(content(added_tokens=None))["added_tokens"] == []


FAMILIES = {
    "gpt2": pre_tokenizers.GPT2,
    "llama": pre_tokenizers.LLAMA3,
    "qwen2": pre_tokenizers.QWEN,
    "qwen3": pre_tokenizers.QWEN,
}


@pytest.mark.parametrize("model_type", FAMILIES)
def test_the_model_type_gives_a_missing_pre_tokenizer(model_type: str) -> None:
    complete = completed({"model": model()}, model_type)
    assert complete["pre_tokenizer"] == pre_tokenizers.pre_tokenizer(FAMILIES[model_type])
    rules = tokenizer_rules.read_rules(complete, PLACE)
    assert (rules.pattern, rules.nfc) == (FAMILIES[model_type], model_type.startswith("qwen"))
    without_normalizer = completed({"model": model(), "normalizer": None}, model_type)
    assert without_normalizer["normalizer"] is None and without_normalizer["pre_tokenizer"] == complete["pre_tokenizer"]
    assert completed(content(), model_type)["normalizer"] is None
    assert completed(content(pre_tokenizer=None), model_type)["pre_tokenizer"] is None


@pytest.mark.parametrize("parts", [{"model": model()}, {"model": characters()}])
def test_a_pre_tokenizer_that_no_model_type_gives_is_required(parts: Content) -> None:
    model_type = "llama" if SPACE_MARKER in parts["model"]["vocab"] else "opt"
    refused(lambda: completed(parts, model_type), "pre_tokenizer is missing")


def test_a_missing_decoder_of_a_byte_level_bpe_is_byte_level() -> None:
    assert completed(content(decoder=None))["decoder"] == BYTES
    assert completed(content(model=characters()))["decoder"] is None
    vocabulary = model()["vocab"] | {SPACE_MARKER: 5}
    assert completed(content(model=model(vocab=vocabulary)))["decoder"] == BYTES


DAMAGED: dict[str, tuple[Any, str]] = {
    "a list": ([], "the file"),
    "nothing": (None, "the file"),
    "no model": ({"pre_tokenizer": BYTES}, "model is"),
    "a list as model": (content(model=[]), "model is"),
    "WordPiece": (content(model=model(type="WordPiece")), r"model\.type is WordPiece"),
    "Unigram": (content(model=model(type="Unigram")), r"model\.type is Unigram"),
    "no type": (content(model={"vocab": VOCAB}), r"model\.type is"),
    "no vocabulary": (content(model={"type": "BPE", "merges": []}), r"model\.vocab"),
    "an empty vocabulary": (content(model=model(vocab={})), r"model\.vocab is"),
    "a list as vocabulary": (content(model=model(vocab=["a"])), r"model\.vocab"),
    "a fraction as id": (content(model=model(vocab=VOCAB | {"a": 0.0})), r"model\.vocab"),
    "true as id": (content(model=model(vocab=VOCAB | {"b": True})), r"model\.vocab"),
    "a string as id": (content(model=model(vocab=VOCAB | {"b": "1"})), r"model\.vocab"),
    "an id below 0": (content(model=model(vocab=VOCAB | {"a": -1})), r"model\.vocab"),
    "an id twice": (content(model=model(vocab=VOCAB | {"a": 1})), r"model\.vocab"),
    "no merges": (content(model={"type": "BPE", "vocab": VOCAB}), r"model\.merges"),
    "an object as merges": (content(model=model(merges={})), r"model\.merges"),
    "three tokens": (content(model=model(merges=["a b b"])), r"model\.merges"),
    "one token": (content(model=model(merges=["a"])), r"model\.merges"),
    "a number as merge": (content(model=model(merges=[5])), r"model\.merges"),
    "numbers in a merge": (content(model=model(merges=[["a", 1]])), r"model\.merges"),
    "an unknown left": (content(model=model(merges=[["Ġa", "b"]])), r"model\.merges"),
    "an unknown right": (content(model=model(vocab=VOCAB | {"aĠ": 9, "aĠc": 10}, merges=["aĠ c"])), r"model\.merges"),
    "an unknown whole": (content(model=model(merges=[["b", "a"]])), r"model\.merges"),
    "a merge twice": (content(model=model(merges=["a b", "a b"])), r"model\.merges"),
    "dropout": (content(model=model(dropout=0.1)), r"model\.dropout"),
    "a list as dropout": (content(model=model(dropout=[])), r"model\.dropout"),
    "a prefix": (content(model=model(continuing_subword_prefix="##")), r"model\.continuing_subword_prefix"),
    "a suffix": (content(model=model(end_of_word_suffix="</w>")), r"model\.end_of_word_suffix"),
    "an unknown unk_token": (content(model=model(unk_token="<unk>")), r"model\.unk_token"),
    "a list as unk_token": (content(model=model(unk_token=["a"])), r"model\.unk_token"),
    "a string as flag": (content(model=model(byte_fallback="no")), r"model\.byte_fallback"),
    "an object of added tokens": (content(added_tokens={"a": 1}), "added_tokens"),
    "a string as added token": (content(added_tokens=["<x>"]), "added_tokens"),
    "an added token without content": (content(added_tokens=[{"id": 9}]), "added_tokens"),
    "an empty added token": (content(added_tokens=[added("")]), "added_tokens"),
    "an added token without id": (content(added_tokens=[{"content": "<x>"}]), "added_tokens"),
    "an added token's id as a string": (content(added_tokens=[added("<x>") | {"id": "9"}]), "added_tokens"),
    "an added token's id below 0": (content(added_tokens=[added("<x>", -1)]), "added_tokens"),
    "an added token's id true": (
        content(added_tokens=[added("<x>") | {"id": True}], model={"vocab": {"a": 0}, "merges": []}),
        "added_tokens",
    ),
    "an added token with another's id": (content(added_tokens=[added("<x>", 1)]), "added_tokens"),
    "an added token with a second id": (content(added_tokens=[added("ab", 9)]), "added_tokens"),
    "two added tokens of one id": (content(added_tokens=[added("<x>"), added("<y>")]), "added_tokens"),
    "an added token twice": (content(added_tokens=[added("<x>"), added("<x>", 10)]), "added_tokens"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused(name: str) -> None:
    damaged, key = DAMAGED[name]
    refused(lambda: completed(damaged), key)


def test_serialized_tokenizers_are_read_back() -> None:
    complete = completed(content(model=characters()))
    assert json.loads(tokenizer_json.serialize(complete)) == complete
    assert SPACE_MARKER in tokenizer_json.serialize(complete) and tokenizer_json.serialize(complete).endswith("}\n")


def test_ids_include_those_of_added_tokens() -> None:
    complete = completed(content(added_tokens=[added("<x>", 7), added("ab", 3)]))
    assert tokenizer_json.token_ids(complete) == VOCAB | {"<x>": 7}
    assert complete["model"]["vocab"] == VOCAB


def test_files_that_tokenizers_cannot_read_are_refused() -> None:
    complete = completed(content(decoder={"type": "Nothing"}))
    refused(lambda: tokenizer_json.load(complete, PLACE), "is not a valid tokenizer")
