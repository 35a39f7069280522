"""tokenizer.json: what is left out is filled in, what is not done exactly is refused, apps make the same ids."""

import dataclasses
import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
import tokenizers
from tokenizers import models, processors, trainers

from autocomplete.common.errors import UserError
from autocomplete.tokenizer import pre_tokenizers, tokenizer, tokenizer_json, tokenizer_rules
from autocomplete.tokenizer.pre_tokenizers import SPACE_MARKER
from helpers import odd_texts
from helpers.toys import TEXT

Content = dict[str, Any]
PLACE = "here/tokenizer.json"
FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
NFC = {"type": "NFC"}
PREPEND = {"type": "Prepend", "prepend": SPACE_MARKER}
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE_MARKER}
METASPACE = {"type": "Metaspace", "replacement": SPACE_MARKER, "prepend_scheme": "first", "split": True}
AT_BLANKS = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}


def model(**changes: Any) -> Content:
    """A BPE of three bytes, a blank among them."""
    made = {"type": "BPE", "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġab": 4}, "merges": [["a", "b"], ["Ġ", "ab"]]}
    return made | changes


def characters(**changes: Any) -> Content:
    vocab = {"<unk>": 0, SPACE_MARKER: 1, "a": 2, "b": 3, "ab": 4}
    return {"type": "BPE", "vocab": vocab, "merges": [["a", "b"]], "unk_token": "<unk>"} | changes


def content(**changes: Any) -> Content:
    return {"pre_tokenizer": BYTES, "model": model()} | changes


def completed(told: Any, model_type: str = "") -> Content:
    return tokenizer_json.complete(told, model_type, PLACE)


def normalizers(*steps: Content) -> Content:
    return {"type": "Sequence", "normalizers": list(steps)}


def pre_tokenizer_sequence(*steps: Content) -> Content:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def added(name: str, number: int = 9, **flags: Any) -> Content:
    return {"id": number, "content": name} | flags


def refused(call: Callable[[], Any], key: str) -> None:
    """The message names the file and the key, and what is allowed there."""
    with pytest.raises(UserError) as raised:
        call()
    message = str(raised.value)
    assert message.startswith(PLACE), message
    assert re.search(key, message), message
    assert "allowed: " in message or "save" in message, message
    assert "\n" not in message and len(message) < 500


# completed()


def test_everything_left_out_is_filled_in() -> None:
    made = completed({"pre_tokenizer": None, "model": {"vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})
    assert made == {
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
    assert completed(made) == made
    assert tokenizers.Tokenizer.from_str(json.dumps(made)).encode("aab").ids == [0, 2]


def test_what_is_said_is_kept() -> None:
    bos = {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}
    kept = {"normalizer": NFC, "pre_tokenizer": METASPACE, "post_processor": bos, "decoder": {"type": "Fuse"}}
    flags = {"fuse_unk": True, "byte_fallback": True, "ignore_merges": True, "unk_token": "a"}
    made = completed({**kept, "model": model(**flags)}, "qwen2")
    assert {key: made[key] for key in kept} == kept
    assert {key: made["model"][key] for key in flags} == flags


def test_limits_of_length_and_padding_are_left_out() -> None:
    """The tokenizer of a released model may cut texts at 512 tokens, or fill them up."""
    cutting = {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}
    filling = {"strategy": {"Fixed": 9}, "direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "a"}
    told = content(truncation=cutting, padding={**filling, "pad_to_multiple_of": None})
    assert len(tokenizer_json.load(completed(told)).encode("ab ab").ids) == 2


@pytest.mark.parametrize("value", [None, 0, 0.0])
def test_what_changes_nothing_is_allowed(value: Any) -> None:
    told = model(dropout=value, continuing_subword_prefix="", end_of_word_suffix="")
    assert completed(content(model=told))["model"] == completed(content())["model"]


def test_merges_may_be_strings_or_pairs() -> None:
    pairs, strings = (completed(content(model=model(merges=m))) for m in (model()["merges"], ["a b", "Ġ ab"]))
    assert pairs == strings
    assert strings["model"]["merges"] == [["a", "b"], ["Ġ", "ab"]]


def test_a_model_with_merges_and_no_type_is_a_bpe() -> None:
    told = model()
    del told["type"]
    assert completed(content(model=told)) == completed(content())


def test_flags_of_added_tokens_are_off_where_they_are_left_out() -> None:
    told = [added("<x>"), added("<y>", 10, special=True, normalized=True, more="x")]
    one, two = completed(content(added_tokens=told))["added_tokens"]
    assert one == added("<x>") | dict.fromkeys(FLAGS, False)
    assert two == added("<y>", 10) | dict.fromkeys(FLAGS, False) | {"special": True, "normalized": True}
    assert completed(content(added_tokens=None))["added_tokens"] == []


FAMILIES = {
    "gpt2": pre_tokenizers.GPT2,
    "llama": pre_tokenizers.LLAMA3,
    "qwen2": pre_tokenizers.QWEN,
    "qwen3": pre_tokenizers.QWEN,
}


@pytest.mark.parametrize("model_type", FAMILIES)
def test_words_are_cut_by_the_model_type_where_nothing_is_said(model_type: str) -> None:
    made = completed({"model": model()}, model_type)
    assert made["pre_tokenizer"] == pre_tokenizers.pre_tokenizer(FAMILIES[model_type])
    rules = tokenizer_rules.read_rules(made, PLACE)
    assert (rules.pattern, rules.nfc) == (FAMILIES[model_type], model_type.startswith("qwen"))
    said = completed({"model": model(), "normalizer": None}, model_type)
    assert said["normalizer"] is None and said["pre_tokenizer"] == made["pre_tokenizer"]
    assert completed(content(), model_type)["normalizer"] is None
    assert completed(content(pre_tokenizer=None), model_type)["pre_tokenizer"] is None


@pytest.mark.parametrize("told", [{"model": model()}, {"model": characters()}])
def test_words_that_no_model_type_tells_are_asked_for(told: Content) -> None:
    model_type = "llama" if SPACE_MARKER in told["model"]["vocab"] else "opt"
    refused(lambda: completed(told, model_type), "pre_tokenizer is missing")


def test_bytes_are_written_back_as_text_where_nothing_is_said() -> None:
    assert completed(content(decoder=None))["decoder"] == BYTES
    assert completed(content(model=characters()))["decoder"] is None
    both = model()["vocab"] | {SPACE_MARKER: 5}
    assert completed(content(model=model(vocab=both)))["decoder"] == BYTES


VOCAB = model()["vocab"]
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
    told, key = DAMAGED[name]
    refused(lambda: completed(told), key)


# rules()


def rules(**changes: Any) -> tokenizer_rules.Rules:
    return tokenizer_rules.read_rules(completed(content(**changes)), PLACE)


def of_characters(**changes: Any) -> tokenizer_rules.Rules:
    return rules(**({"model": characters(), "pre_tokenizer": None} | changes))


def test_rules_of_bytes() -> None:
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


def test_rules_of_characters() -> None:
    replaced = of_characters(normalizer=REPLACE)
    assert (replaced.byte_level, replaced.pattern, replaced.space_prefix) == (
        False,
        pre_tokenizers.SENTENCEPIECE,
        "never",
    )
    llama = of_characters(normalizer=normalizers(PREPEND, REPLACE))
    assert (llama.pattern, llama.space_prefix, llama.nfc) == (pre_tokenizers.SENTENCEPIECE, "always", False)
    for cut in (AT_BLANKS, pre_tokenizer_sequence(AT_BLANKS, AT_BLANKS), pre_tokenizer_sequence()):
        found = of_characters(normalizer=normalizers(REPLACE), pre_tokenizer=cut)
        assert dataclasses.replace(found, pre_tokenizer="none") == replaced


@pytest.mark.parametrize("scheme", SCHEMES)
def test_rules_of_metaspace(scheme: str) -> None:
    for split, words in ((True, pre_tokenizers.METASPACE), (False, pre_tokenizers.SENTENCEPIECE)):
        found = of_characters(pre_tokenizer=METASPACE | {"prepend_scheme": scheme, "split": split})
        assert (found.byte_level, found.pattern, found.space_prefix) == (False, words, SCHEMES[scheme])
    bare = {"type": "Metaspace", "replacement": SPACE_MARKER}
    assert of_characters(pre_tokenizer=bare).space_prefix == "missing"
    assert of_characters(pre_tokenizer=bare).pattern == pre_tokenizers.METASPACE
    assert of_characters(pre_tokenizer=bare | {"add_prefix_space": False}).space_prefix == "never"
    assert (
        of_characters(pre_tokenizer=pre_tokenizer_sequence(bare | {"add_prefix_space": True})).space_prefix == "missing"
    )


def test_added_tokens_are_text_and_special_ones_are_not() -> None:
    told = [added("<x>"), added("<s>", 10, special=True), added("y", 11), added("</s>", 12, special=True)]
    found = rules(added_tokens=told)
    assert (found.added_tokens, found.special_tokens, found.flagged_tokens) == (("<x>", "y"), {"<s>", "</s>"}, ())
    unknown = rules(added_tokens=told, model=model(unk_token="b"))
    assert unknown.special_tokens == {"<s>", "</s>", "b"}


@pytest.mark.parametrize("flag", ["single_word", "lstrip", "rstrip"])
def test_added_tokens_that_are_more_than_their_bytes_are_named(flag: str) -> None:
    told = [added("<x>"), added("<y>", 10, **{flag: True}), added("<s>", 11, special=True, **{flag: True})]
    assert rules(added_tokens=told).flagged_tokens == ("<y>",)


def test_added_tokens_with_blanks_that_are_rewritten_are_named() -> None:
    names = [" x", f"x{SPACE_MARKER}", "x"]
    for normalized, expected in ((True, tuple(names[:2])), (False, ())):
        told = [added(name, 9 + i, normalized=normalized) for i, name in enumerate(names)]
        assert of_characters(normalizer=REPLACE, added_tokens=told).flagged_tokens == expected
        assert rules(added_tokens=told).flagged_tokens == ()


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
def test_what_is_not_done_exactly_is_refused(name: str) -> None:
    told, key = REFUSED[name]
    refused(lambda: tokenizer_rules.read_rules(completed(told), PLACE), key)


# start_of()


def template(*parts: Any, **more: Any) -> Content:
    known = {"a": {"id": "a", "ids": [0], "tokens": ["a"]}}
    return {"type": "TemplateProcessing", "single": list(parts), "pair": [], "special_tokens": known} | more


def processors_of(*steps: Content) -> Content:
    return {"type": "Sequence", "processors": list(steps)}


A, TEXT_ITSELF = {"SpecialToken": {"id": "a", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
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
def test_what_stands_before_a_text(name: str) -> None:
    told, expected = STARTS[name]
    assert tokenizer_json.start_token_id(completed(content(post_processor=told)), PLACE) == expected


def test_what_stands_before_a_text_is_what_tokenizers_puts_there() -> None:
    made = tokenizers.Tokenizer.from_str(json.dumps(completed(content())))
    for start, single in ((0, "a $A"), (None, "$A"), (4, "Ġab $0")):
        tokens = [("a", 0), ("Ġab", 4)]
        template = processors.TemplateProcessing(single=single, pair="$A $B", special_tokens=tokens)
        made.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
        assert tokenizer_json.start_token_id(completed(json.loads(made.to_str())), PLACE) == start
        assert made.encode("b").ids == ([] if start is None else [start]) + [1]


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
def test_what_stands_elsewhere_is_refused(name: str) -> None:
    refused(
        lambda: tokenizer_json.start_token_id(completed(content(post_processor=NO_STARTS[name])), PLACE),
        "post_processor",
    )


# load() and for_clients()


def trained(words: str, added_tokens: list[Content], **changes: Any) -> Content:
    """A byte-level BPE with tokens behind its vocabulary, one of which stands before every text."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = list(tokenizer.bytes_to_unicode().values())
    made.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    told = json.loads(made.to_str())["model"] | changes
    size = max(told["vocab"].values()) + 1
    tokens = [{"id": size + i} | token for i, token in enumerate(added_tokens)]
    start = template({"SpecialToken": {"id": "<s>", "type_id": 0}}, TEXT_ITSELF)
    start["special_tokens"] = {"<s>": {"id": "<s>", "ids": [tokens[0]["id"]], "tokens": ["<s>"]}}
    return completed(
        {
            "added_tokens": tokens,
            "pre_tokenizer": pre_tokenizers.pre_tokenizer(words),
            "model": told,
            "post_processor": processors_of(BYTES, start),
        }
    )


SPECIAL = [{"content": name, "special": True} for name in ("<s>", "<|x|>", "hello", "a b", " ", "\n\n")]
OTHERS = [{"content": name} for name in ("<table>", "</s>", "  ", "xyz")]
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
def test_apps_make_no_special_token_of_a_text_and_the_same_ids_otherwise(name: str) -> None:
    made = CLIENTS[name]()
    given, ids = strings(), tokenizer_json.token_ids(made)
    app = tokenizers.Tokenizer.from_str(tokenizer_json.serialize(tokenizer_json.for_clients(made)))
    expected = [found.ids for found in tokenizer_json.load(made).encode_batch(given)]
    got = [found.ids for found in app.encode_batch(given)]
    assert [(t, a, b) for t, a, b in zip(given, got, expected, strict=True) if a != b] == []
    used = {i for found in got for i in found}
    assert not {token["id"] for token in made["added_tokens"] if token["special"]} & used
    assert {ids[str(token["content"])] for token in OTHERS} <= used
    assert app.get_vocab() == tokenizer_json.load(made).get_vocab() == ids
    assert got[0] == [] and made["post_processor"] is not None


SPOKEN: dict[str, Callable[[], Content]] = {
    "a merge": lambda: completed(content(added_tokens=[added("ab", VOCAB["ab"], special=True)])),
    "a character": lambda: completed(content(added_tokens=[added("a", VOCAB["a"], special=True)])),
    "a whole word": lambda: trained(pre_tokenizers.GPT2, [*SPECIAL, *OTHERS], ignore_merges=True),
}


@pytest.mark.parametrize("name", SPOKEN)
def test_a_special_token_that_a_text_becomes_is_refused(name: str) -> None:
    made = SPOKEN[name]()
    app = tokenizers.Tokenizer.from_str(tokenizer_json.serialize(tokenizer_json.for_clients(made)))
    special = {token["content"]: token["id"] for token in made["added_tokens"] if token["special"]}
    assert [t for t, i in special.items() if i in app.encode(t).ids]
    refused(lambda: tokenizer_json.require_unreachable_special_tokens(made, PLACE), "a text becomes the special token")


@pytest.mark.parametrize("name", CLIENTS)
def test_special_tokens_that_no_text_becomes_are_taken(name: str) -> None:
    tokenizer_json.require_unreachable_special_tokens(CLIENTS[name](), PLACE)


def test_the_unknown_token_is_what_a_text_becomes() -> None:
    made = completed(content(added_tokens=[added("<unk>", 0, special=True)], model=characters(unk_token="<unk>")))
    tokenizer_json.require_unreachable_special_tokens(made, PLACE)


def test_tokenizers_alone_would_make_special_tokens_and_put_one_first() -> None:
    """Else the tests above would try nothing."""
    made = CLIENTS["special tokens first"]()
    plain, ids = tokenizers.Tokenizer.from_str(tokenizer_json.serialize(made)), tokenizer_json.token_ids(made)
    assert plain.encode("<|x|>").ids == [ids["<s>"], ids["<|x|>"]]


def test_apps_get_the_same_text_of_ids() -> None:
    made = CLIENTS["holes"]()
    app = tokenizers.Tokenizer.from_str(tokenizer_json.serialize(tokenizer_json.for_clients(made)))
    for text in strings():
        assert app.decode(app.encode(text).ids) == text


def test_clients_of_bytes_get_two_simpler_files() -> None:
    made = CLIENTS["special tokens last"]()
    files = tokenizer_json.client_files(made)
    assert set(files) == {"tokenizer.json", "vocabulary.json", "merges.txt"}
    assert files["tokenizer.json"].decode() == tokenizer_json.serialize(tokenizer_json.for_clients(made))
    assert json.loads(files["vocabulary.json"]).items() >= made["model"]["vocab"].items()
    version, *lines, last = files["merges.txt"].decode().split("\n")
    assert (version, last) == ("#version: 0.2", "")
    assert [line.split(" ") for line in lines] == made["model"]["merges"]
    assert set(tokenizer_json.client_files(completed(content(model=characters(), pre_tokenizer=METASPACE)))) == {
        "tokenizer.json"
    }


def test_texts_of_tokenizers_are_read_as_they_were_written() -> None:
    made = completed(content(model=characters()))
    assert json.loads(tokenizer_json.serialize(made)) == made
    assert SPACE_MARKER in tokenizer_json.serialize(made) and tokenizer_json.serialize(made).endswith("}\n")


def test_ids_of_added_tokens_stand_beside_the_vocabulary() -> None:
    made = completed(content(added_tokens=[added("<x>", 7), added("ab", 3)]))
    assert tokenizer_json.token_ids(made) == VOCAB | {"<x>": 7}
    assert made["model"]["vocab"] == VOCAB


def test_what_tokenizers_does_not_read_is_refused() -> None:
    made = completed(content(decoder={"type": "Nothing"}))
    refused(lambda: tokenizer_json.load(made, PLACE), "is not a valid tokenizer")
