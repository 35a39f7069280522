"""Start, end and padding tokens, from the first file that names them."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from autocomplete.common.errors import UserError
from autocomplete.presets import special_tokens
from autocomplete.tokenizer import tokenizer_json

Content = dict[str, Any]
PLACE = "here"
SPECIAL = {"<s>": 3, "</s>": 4, "<|im_end|>": 5, "<pad>": 9}
NAMES = {"a": 0, "b": 1, "ab": 2} | SPECIAL | {"<eos>": 6}  # the last is an added token that matches in text
FILES = ("generation_config.json", "config.json")


def template(name: str | None) -> Content:
    parts = [] if name is None else [{"SpecialToken": {"id": name, "type_id": 0}}]
    single = [*parts, {"Sequence": {"id": "A", "type_id": 0}}]
    return {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {}}


def tokenizer(special: Mapping[str, int] = SPECIAL, post_processor: Content | None = None) -> Content:
    added = [{"id": i, "content": t, "special": True} for t, i in special.items()]
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}
    content = {"pre_tokenizer": None, "model": model, "post_processor": post_processor}
    return tokenizer_json.complete(content | {"added_tokens": [*added, {"id": 6, "content": "<eos>"}]}, "", PLACE)


def start(settings: Content, post_processor: Content | None = None, *, by_settings: bool = True) -> int | None:
    """The start token of a text; `by_settings` for a folder without a tokenizer.json."""
    content = tokenizer(post_processor=post_processor)
    return special_tokens.start_token_id(content, settings, PLACE, by_settings=by_settings)


def ends(
    settings: Content, generation: Any = None, config: Any = None, special: Mapping[str, int] = SPECIAL
) -> tuple[int, ...]:
    """The end tokens by three files; the last two have only an eos_token_id."""
    configurations = {
        file: {"eos_token_id": eos_token_id} for file, eos_token_id in zip(FILES, (generation, config), strict=True)
    }
    return special_tokens.end_token_ids(tokenizer(special), settings, configurations, PLACE)


def padding(settings: Content) -> int | None:
    return special_tokens.pad_token_id(tokenizer(), settings, PLACE)


def refused(message: str) -> Any:
    return pytest.raises(UserError, match=rf"^{PLACE}.*{message}")


BOS = {"add_bos_token": True, "bos_token": "<s>"}
NONE: Content = {}
STARTS: dict[str, tuple[Content, Content | None, int | None]] = {
    "nothing is said": (NONE, None, None),
    "a name alone": ({"bos_token": "<s>"}, None, None),
    "a name that is to be added": (BOS, None, 3),
    "an object that is to be added": (BOS | {"bos_token": {"content": "<s>", "lstrip": False}}, None, 3),
    "a token that is text": (BOS | {"bos_token": "<eos>"}, None, 6),
    "a token of the vocabulary": (BOS | {"bos_token": "ab"}, None, 2),
    "not to be added": (BOS | {"add_bos_token": False}, None, None),
    "null": (BOS | {"add_bos_token": None}, None, None),
    "null as name": (BOS | {"bos_token": None}, None, None),
    "no name": ({"add_bos_token": True}, None, None),
    "a template": (NONE, template("<s>"), 3),
    "a template before the settings": (BOS | {"bos_token": "</s>"}, template("<s>"), 3),
    "a template against the settings": (BOS | {"add_bos_token": False}, template("<s>"), 3),
    "a template of nothing": (BOS, template(None), None),
    "bytes": (BOS, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}, None),
}


@pytest.mark.parametrize("name", STARTS)
def test_the_start_token_comes_from_template_or_settings(name: str) -> None:
    settings, post_processor, expected = STARTS[name]
    assert start(settings, post_processor) == expected


@pytest.mark.parametrize("name", STARTS)
def test_only_tokenizer_json_decides_on_the_start_token(name: str) -> None:
    """As in transformers 5.24, which reads neither flag where there is a tokenizer.json, whatever class it loads."""
    settings, post_processor, expected = STARTS[name]
    expected = None if post_processor is None else expected
    for flag in ({}, {"add_eos_token": True}):
        assert start(settings | flag, post_processor, by_settings=False) == expected


@pytest.mark.parametrize("bad", ["<x>", "", 3, ["<s>"], {"content": "<x>"}, {"content": None}, {"content": 3}, {}])
def test_names_that_are_no_token_are_refused(bad: Any) -> None:
    named = re.escape(str(bad))
    with refused(f"/tokenizer_config.json: bos_token .*{named}.*allowed: null or a token of tokenizer.json"):
        start(BOS | {"bos_token": bad}, by_settings=False)
    with refused("/tokenizer_config.json: eos_token "):
        ends({"eos_token": bad}, 4)
    with refused("/tokenizer_config.json: pad_token "):
        padding({"pad_token": bad})


@pytest.mark.parametrize("key", ["add_bos_token", "add_eos_token"])
@pytest.mark.parametrize("bad", ["true", 1, [True]])
def test_flags_that_are_not_true_or_false_are_refused(key: str, bad: Any) -> None:
    with refused(f"/tokenizer_config.json: {key} is .*; allowed: true, false or null"):
        start(BOS | {key: bad})


def test_an_end_behind_every_text_is_refused() -> None:
    with refused("/tokenizer_config.json: add_eos_token is True"):
        start({"add_eos_token": True, "eos_token": "</s>"})
    assert start(BOS | {"add_eos_token": False}) == 3
    with refused("/tokenizer_config.json: add_eos_token is True"):  # of a tokenizer.model
        start({"add_eos_token": True}, template("<s>"))


EOS = {"eos_token": "</s>"}
ENDS: dict[str, tuple[Content, Any, Any, tuple[int, ...]]] = {
    "the tokenizer's": (EOS, None, None, (4,)),
    "an object": ({"eos_token": {"content": "</s>"}}, None, None, (4,)),
    "generation_config.json's": (NONE, 5, None, (5,)),
    "config.json's": (NONE, None, 3, (3,)),
    "lists": (NONE, [5, 3], [4, 5], (5, 3, 4)),
    "the tokenizer's first": (EOS, [5, 4], 3, (4, 5, 3)),
    "generation_config.json before config.json": (NONE, 5, 3, (5, 3)),
    "each once": (EOS, [4, 4, 5], [5, 4], (4, 5)),
    "null": ({"eos_token": None}, None, [4], (4,)),
    "an empty list": (EOS, [], [], (4,)),
    "an id of 0": (NONE, 0, None, (0,)),
    "ids behind the vocabulary": (EOS, [5000, 5], 10, (4, 5)),
    "ids in a hole": (NONE, [7, 8, 9], 5, (9, 5)),
    "ids below 0": (NONE, -1, 5, (5,)),
    "the last id": (NONE, 9, 10, (9,)),
}


@pytest.mark.parametrize("name", ENDS)
def test_end_tokens_come_from_all_files(name: str) -> None:
    settings, generation, config, expected = ENDS[name]
    assert ends(settings, generation, config) == expected


FALLBACK: dict[str, tuple[dict[str, int], tuple[int, ...]]] = {
    "one": ({"<|endoftext|>": 7}, (7,)),
    "two, in the order of the names": ({"</s>": 3, "<|im_end|>": 4, "<s>": 5}, (4, 3)),
    "Llama 3": ({"<|eom_id|>": 4, "<|end_of_text|>": 3, "<|eot_id|>": 7}, (3, 7, 4)),
    "Gemma": ({"<eos>x": 7, "<end_of_turn>": 8}, (8,)),
    "Command R": ({"<|END_OF_TURN_TOKEN|>": 7, "<EOT>": 8}, (8, 7)),
}


@pytest.mark.parametrize("name", FALLBACK)
def test_end_tokens_are_found_by_their_names_where_no_file_has_them(name: str) -> None:
    """Names of added tokens that match in text do not count: <eos> is one here."""
    special, expected = FALLBACK[name]
    assert ends(NONE, special=special) == expected
    assert ends(NONE, 5000, [6000], special=special) == expected
    assert ends(NONE, 0, special=special) == (0,)


def test_missing_files_and_files_without_the_key_are_ignored() -> None:
    for others in ({}, dict.fromkeys(FILES, NONE)):
        assert special_tokens.end_token_ids(tokenizer(), EOS, others, PLACE) == (4,)


def test_names_that_end_a_text_are_each_known() -> None:
    for name in special_tokens.END_TOKEN_NAMES:
        if name != "<eos>":
            assert ends(NONE, special={name: 8}) == (8,)
    assert len(set(special_tokens.END_TOKEN_NAMES)) == len(special_tokens.END_TOKEN_NAMES)


@pytest.mark.parametrize(("generation", "config"), [(None, None), ([], None), (5000, [-1])])
def test_a_tokenizer_without_an_end_is_refused(generation: Any, config: Any) -> None:
    with refused("names no token that ends a text; give tokenizer_config.json an eos_token"):
        ends(NONE, generation, config, special={"<s>": 3, "<pad>": 9})


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("bad", ["</s>", 4.0, True, [4, None], [[4]], {"a": 4}])
def test_ends_that_are_no_ids_are_refused(file: str, bad: Any) -> None:
    generation, config = (bad if name == file else 4 for name in FILES)
    with refused(f"/{re.escape(file)}: eos_token_id is .*; allowed: null, an id or a list of ids"):
        ends(EOS, generation, config)


def test_the_padding_token_comes_from_the_settings() -> None:
    assert padding(NONE) is None
    assert padding({"pad_token": None}) is None
    assert padding({"pad_token": "<pad>"}) == 9
    assert padding({"pad_token": {"content": "</s>"}}) == 4
    assert padding({"eos_token": "</s>", "bos_token": "<s>"}) is None
