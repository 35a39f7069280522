"""A tokenizer.json that is damaged, or that this project would not follow, is refused in one line."""

from pathlib import Path

import pytest

from helpers.folder_changes import added, both, bpe, lacking, parts, template, tokens
from helpers.odd_folders import FIRST, LAST, MERGES, SEQUENCE, START, TOKENIZER, TOKENS
from helpers.refusals import HUGE, LINES, NUMBERS, Refused, assert_refused, mixed

pytestmark = pytest.mark.timeout(60)

CUT = '; allowed: one that ends in ByteLevel, Metaspace with "▁", or none'
SPOKEN = "a text becomes the special token "
ID = r"the id of 'x' in model\.vocab is"
TOKENIZING: Refused = {
    **{
        f"model {kind!r:.20}": (bpe(type=kind), r"model\.type is .*; allowed: BPE")
        for kind in ("Unigram", "WordPiece", "WordLevel", "Foo", 5, None, LINES)
    },
    "no model": (lacking(TOKENIZER, "model"), "model is None; allowed: an object"),
    "model is a list": (parts(model=[1]), r"model is \[1\]; allowed: an object"),
    **{
        f"vocab {value!r}": (bpe(vocab=value), r"model\.vocab is .*; allowed: an object of tokens and their ids")
        for value in mixed(None, {}, [["a", 0]], "a")
    },
    **{
        f"id {name}": (tokens(x=value), rf"{ID} .*; allowed: a whole number of at least 0")
        for name, value in (NUMBERS | {"null": None, "float": 7.0}).items()
        if name != "zero"
    },
    "id twice": (tokens(x=5), f"{ID} 5; allowed: another id than that of '#'"),
    **{
        f"merges {value!r}": (bpe(merges=value), r"model\.merges is .*; allowed: a list of pairs of tokens")
        for value in (None, {"a": 1}, "a b", 5)
    },
    **{
        f"merge {value!r}": (bpe(merges=[*MERGES, value]), r"model\.merges\[3\] is .*; allowed: two tokens")
        for value in ("ab", "a b c", ["a"], ["a", "b", "c"], ["a", 5], 5, None, ["", "a"], "#version: 0.2 x")
    },
    "merge of no tokens": (bpe(merges=[["qq", "q"]]), r"model\.merges\[0\] is .*; allowed: .* which has no 'qq'"),
    "merge to no token": (bpe(merges=["q q"]), r"model\.merges\[0\] is 'q q'; allowed: .* which has no 'qq'"),
    "merge twice": (bpe(merges=[*MERGES, "h e"]), r"model\.merges\[3\] is 'h e'; allowed: each pair once"),
    **{
        f"{key} {value!r}": (bpe(**{key: value}), rf"model\.{key} is .*; allowed: {allowed}")
        for key, value, allowed in (
            ("dropout", 0.1, "null"),
            ("continuing_subword_prefix", "##", "null"),
            ("end_of_word_suffix", "x", "null"),
            ("byte_fallback", "false", "true or false"),
            ("ignore_merges", 1, "true or false"),
            ("fuse_unk", "no", "true or false"),
            ("unk_token", "<unk>", "null or a token"),
            ("unk_token", 5, "null"),
        )
    },
    **{
        f"post_processor with half a pair in {key}": (
            parts(post_processor={"type": "TemplateProcessing", "single": [SEQUENCE]} | {key: value}),
            "post_processor cannot be written in UTF-8 .*; save the tokenizer anew",
        )
        for key, value in (("pair", ["\ud800"]), ("special_tokens", {"\udfff": {}}), ("x", "\ud800"))
    },
    **{
        f"pre_tokenizer of the type {kind!r}": (
            both(bpe(vocab={"▁": 0}, merges=[]), parts(added_tokens=[], pre_tokenizer={"type": kind})),
            f"pre_tokenizer is {shown} {{'type': .*{CUT}",
        )
        for kind, shown in (("\ud800", r"\\ud800"), ("a\x1b[31m", r"a\\x1b\[31m"))
    },
    **{
        f"normalizer {name}": (parts(normalizer=value), "normalizer .* is not supported; allowed: NFC")
        for name, value in {
            "Lowercase": {"type": "Lowercase"},
            "NFKC": {"type": "NFKC"},
            "of no type": {},
            "of lines": {"type": LINES},
            "Precompiled": {"type": "Precompiled", "precompiled_charsmap": "AAAA"},
            "null": {"type": None},
            "Replace": {"type": "Replace", "pattern": {"String": "a"}, "content": "b"},
            "in sequences": {
                "type": "Sequence",
                "normalizers": [
                    {"type": "NFC"},
                    {"type": "Sequence", "normalizers": [{"type": "StripAccents"}]},
                ],
            },
            "twice": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}] * 2},
        }.items()
    },
    **{
        f"{part} {value!r:.30}": (parts(**{part: value}), f"{part} is .*, which is not what `tokenizers` writes; save")
        for part, inner in (
            ("normalizer", "normalizers"),
            ("pre_tokenizer", "pretokenizers"),
            ("post_processor", "processors"),
        )
        for value in ("x", 5, [{"type": "NFC"}], {"type": "Sequence"}, {"type": "Sequence", inner: 5})
    },
    **{
        f"pre_tokenizer {kind}": (parts(pre_tokenizer={"type": kind}), f"pre_tokenizer is {kind} .*{CUT}")
        for kind in ("Whitespace", "BertPreTokenizer", "Punctuation", "WhitespaceSplit", "Foo", "UnicodeScripts")
    },
    "pre_tokenizer null": (parts(pre_tokenizer=None), f"pre_tokenizer is none{CUT}"),
    "pre_tokenizer of lines": (
        parts(pre_tokenizer={"type": "Split", "pattern": {"Regex": "a\n|b"}, "behavior": "Isolated", "invert": False}),
        rf"pre_tokenizer is a \|b{CUT}",
    ),
    "Metaspace behind Prepend": (
        parts(
            normalizer={"type": "Prepend", "prepend": "▁"},
            pre_tokenizer={"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"},
        ),
        f"pre_tokenizer is Metaspace .*{CUT}",
    ),
    **{
        f"post_processor {kind!r:.20}": (parts(post_processor={"type": kind}), "post_processor is .*; allowed: null")
        for kind in ("BertProcessing", "RobertaProcessing", "Foo", None, LINES)
    },
    **{
        f"template of {name}": (
            template(*single),
            r"post_processor\.single has .*; allowed: no more than one SpecialToken before",
        )
        for name, single in {
            "an end": (SEQUENCE, LAST),
            "two starts": (FIRST, FIRST, SEQUENCE),
            "both": (FIRST, SEQUENCE, LAST),
            "no text": (FIRST,),
            "two texts": (SEQUENCE, SEQUENCE),
            "nothing": (),
            "others": ({"Foo": {"id": "A"}}, SEQUENCE),
        }.items()
    },
    **{
        f"template with {part!r}": (template(part, SEQUENCE), r"post_processor\.single is .*; allowed: a list")
        for part in mixed(
            "<s>", 5, None, {}, {"SpecialToken": "<s>"}, {"SpecialToken": {"id": 5}}, {"SpecialToken": {}}
        )
    },
    "template of text": (
        parts(post_processor={"type": "TemplateProcessing", "single": "$A"}),
        r"post_processor\.single is '\$A'; ",
    ),
    **{
        f"template's id {value!r}": (
            template(FIRST, SEQUENCE, **{START: value}),
            r"post_processor\.special_tokens has .*; allowed: an object",
        )
        for value in mixed(5, [], {"ids": 0}, {"ids": [0, 0]}, {"ids": [HUGE]}, {"ids": ["0"]}, {"ids": []}, {})
    },
    "template of no token": (
        template({"SpecialToken": {"id": "<s>"}}, SEQUENCE),
        r"post_processor\.special_tokens has None for '<s>'",
    ),
    "two templates": (
        parts(
            post_processor={
                "type": "Sequence",
                "processors": [{"type": "TemplateProcessing", "single": [first, SEQUENCE]} for first in (FIRST, LAST)],
            }
        ),
        r"post_processor puts the tokens \[0, 1\] before a text; allowed: one",
    ),
    **{
        f"added_tokens {value!r}": (parts(added_tokens=value), "added_tokens is .*; allowed: a list")
        for value in ({}, "x", 5, {"0": "x"})
    },
    **{
        f"added {value!r}": (added(value), "one of added_tokens is .*; allowed: an object with id, content, and flags")
        for value in (
            5,
            "x",
            {},
            {"id": 300},
            {"content": "x"},
            {"id": "300", "content": "x"},
            {"id": -1, "content": "x"},
            {"id": 3e2, "content": "x"},
            {"id": 300, "content": ""},
            {"id": 300, "content": "x", "special": "false"},
        )
    },
    "added with another's id": (added({"id": 5, "content": "<x>"}), "the id of '<x>' in added_tokens is 5; allowed"),
    "added with another id": (added({"id": 300, "content": "a"}), "the id of 'a' in added_tokens is 300; allowed"),
    **{
        f"special {name!r}": (added({"id": TOKENS.index(name), "content": name, "special": True}), SPOKEN + repr(name))
        for name in ("he", "Ġthe", "a", "Ċ")
    },
    "special whole word": (
        both(
            tokens(Ġzqx=len(TOKENS)),
            bpe(ignore_merges=True),
            added({"id": len(TOKENS), "content": "Ġzqx", "special": True}),
        ),
        f"{SPOKEN}'Ġzqx'; allowed: special tokens that neither",
    ),
    "added inside a special one": (
        added({"id": len(TOKENS), "content": "of_text"}),
        r"the added token 'of_text' can begin inside the special token '<\|begin_of_text\|>'; allowed: added",
    ),
    "added twice": (added({"id": 0, "content": START}), "one of added_tokens is .*; allowed: each token once"),
}

NO_TOKENIZER: Refused = {
    "id of 10**12": (tokens(x=HUGE), "integer `1000000000000`, expected u32"),
    "a surrogate": (tokens(**{"\ud800": len(TOKENS)}), "(surrogate|hex escape)"),
    "unknown before ByteLevel": (
        parts(pre_tokenizer={"type": "Sequence", "pretokenizers": [{"type": "Foo"}, {"type": "ByteLevel"}]}),
        "data did not",
    ),
    "ByteLevel of texts": (
        parts(pre_tokenizer={"type": "ByteLevel", "add_prefix_space": "no", "trim_offsets": True, "use_regex": True}),
        "(invalid type|data did not)",
    ),
    "no regular expression": (
        parts(
            pre_tokenizer={
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": "(("}, "behavior": "Isolated", "invert": False},
                    {"type": "ByteLevel"},
                ],
            }
        ),
        "(Oniguruma error|data did not)",
    ),
    "unknown decoder": (parts(decoder={"type": "Foo"}), "data did not"),
}


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("name", TOKENIZING)
def test_the_refusal_names_the_error_in_one_line(name: str, folder: Path) -> None:
    change, message = TOKENIZING[name]
    assert_refused(folder, change, r"/tokenizer\.json: " + message)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("name", NO_TOKENIZER)
def test_a_file_that_tokenizers_refuses_is_refused(name: str, folder: Path) -> None:
    change, message = NO_TOKENIZER[name]
    assert_refused(folder, change, r"/tokenizer\.json is not a valid tokenizer: .*" + message)
