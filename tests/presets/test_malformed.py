"""Hugging Face folders that are damaged, or would become another model, are refused before a weight is read.

And those that are merely unusual are read as what they say.
"""

import contextlib
import json
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from autocomplete.common.errors import UserError
from autocomplete.presets import huggingface, keras_import, loading, model_types, transformers_config
from helpers import odd_folders
from helpers.odd_folders import (
    CONFIG,
    END,
    GENERATION,
    GPT2,
    HEAD,
    HEAD_ROWS,
    INDEX,
    LLAMA,
    MERGES,
    NORM,
    PADDING,
    QUERY,
    SETTINGS,
    START,
    TABLE,
    TOKENIZER,
    TOKENS,
    WEIGHTS,
    WIDTH,
    Change,
    added,
    arrays,
    both,
    bpe,
    cast,
    config,
    cut,
    encoded,
    fewer,
    header,
    keys,
    lacking,
    more,
    parts,
    settings,
    sharded,
    template,
    tokens,
    weight,
    whole,
    without,
    written,
)

pytestmark = pytest.mark.timeout(60)

NUMBERS = {
    "NaN": float("nan"),
    "infinite": float("inf"),
    "negative": -1,
    "zero": 0,
    "text": "7",
    "true": True,
    "list": [7],
}
NESTED, LINES, HUGE = "[" * 100_000, "words\n" * 1000, 10**12
SEQUENCE = {"Sequence": {"id": "A", "type_id": 0}}
FIRST, LAST = ({"SpecialToken": {"id": token, "type_id": 0}} for token in (START, END))
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
FACTORS = [key for key in LLAMA3 if key != "rope_type"]
SLIDING, FULL = "sliding_attention", "full_attention"
MISTRAL, QWEN2, QWEN3, GEMMA, GEMMA2, GEMMA3 = (
    {key: value for key, value in LLAMA.items() if key not in ("rope_theta", "hidden_act")}
    | {"model_type": kind, "tie_word_embeddings": kind.startswith("gemma"), "query_pre_attn_scalar": HEAD}
    for kind in ("mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text")
)
SIZE, ABOVE_0, KNOWS = (
    "; allowed: a whole number of at least 1",
    "; allowed: a number above 0",
    "; KerasHub's converter",
)
Refused = dict[str, tuple[Change, str]]  # what is done, and what is said of the file

FOLDER: Refused = {
    **{f"{name} cut off": (cut(name, 20), f"/{name} is no JSON") for name in (CONFIG, TOKENIZER, SETTINGS, GENERATION)},
    **{f"{name} empty": (written(name, ""), f"/{name} is no JSON") for name in (CONFIG, TOKENIZER, SETTINGS)},
    **{
        f"{name} is {text}": (written(name, text), f"/{name} holds no JSON object, but {told}; download it again")
        for name, text, told in (
            (CONFIG, "[1]", r"\[1\]"),
            (CONFIG, "null", "None"),
            (TOKENIZER, '"x"', "'x'"),
            (SETTINGS, "[]", r"\[\]"),
            (GENERATION, "7", "7"),
        )
    },
    **{f"{name} nested": (written(name, NESTED), f"/{name} is no JSON .*recursion") for name in (CONFIG, TOKENIZER)},
    "a file that is not read, nested": (written("notes.json", NESTED), r"/notes\.json is no JSON"),
    **{f"{name} UTF-16": (encoded(name, "utf-16"), f"/{name} is no JSON in UTF-8") for name in (CONFIG, TOKENIZER)},
    "a number of 5000 digits": (written(CONFIG, '{"model_type": ' + "9" * 5000 + "}"), r"/config\.json is no JSON"),
    "no model_type": (lacking(CONFIG, "model_type"), r"/config\.json is not the configuration of .*\(model_type\)"),
    "no config.json": (without(CONFIG), r" holds no config\.json"),
    "nothing": (without(CONFIG, TOKENIZER, SETTINGS, GENERATION, WEIGHTS), r" holds no config\.json"),
    "no tokenizer.json": (without(TOKENIZER), r" has no tokenizer\.json, from which a llama gets its tokenizer"),
    "a folder as tokenizer.json": (both(without(TOKENIZER), lambda f: (f / TOKENIZER).mkdir()), r" has no tokenizer\."),
    "a pipe as tokenizer.json": (both(without(TOKENIZER), lambda f: os.mkfifo(f / TOKENIZER)), r"/\S+ is no plain"),
    "a link to itself": (lambda f: (f / "x.json").symlink_to("x.json"), r"/x\.json is no plain file"),
    "foreign files": (
        both(
            written("pytorch_model.bin", b"PK\x03\x04"),
            written("a.pt", b"\x80\x04."),
            written("b.py", "1"),
            written("old.ot", "x"),
            written("train.bin", "x"),
        ),
        r"/a\.pt is a pickle.*; b\.py is of a kind.*; old\.ot is of .*; pytorch_model\.bin is a zip archive.*; "
        r"train\.bin is of a kind that no preset needs \(\.bin\); a preset holds .*: take these files out",
    ),
    "a foreign file of two lines": (written("a\nb.py", "1"), r"/'a\\nb\.py' is of a kind that no preset needs"),
    "code": (config(auto_map={"AutoModel": "x.X"}), r"/config\.json asks for code from the model's repository"),
    "no pair in vocab.json": (
        both(without(TOKENIZER), written("vocab.json", "[]"), written("merges.txt", "")),
        r"/vocab\.json holds no JSON",
    ),
    "an id as text": (
        both(without(TOKENIZER), written("vocab.json", '{"a": "0"}'), written("merges.txt", "")),
        r"/vocab\.json: the id of 'a' in model\.vocab is '0'; allowed",
    ),
    "merges that are no text": (
        both(without(TOKENIZER), written("vocab.json", '{"a": 0}'), written("merges.txt", b"\xff\xfe")),
        r"/merges\.txt",
    ),
    "no SentencePiece model": (
        both(without(TOKENIZER), written("tokenizer.model", "x")),
        r"/tokenizer\.model is no SentencePiece model",
    ),
}

CONFIGURATION: Refused = {
    **{
        f"{key} {name}": (config(**{key: value}), f"{key} is .*{SIZE}")
        for key in (
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "intermediate_size",
            "max_position_embeddings",
            "head_dim",
        )
        for name, value in (NUMBERS | {"float": 8.0, "huge": HUGE}).items()
    },
    **{
        f"{key} {name}": (config(**{key: value}), f"{key} is .*{ABOVE_0}")
        for key in ("rms_norm_eps", "rope_theta")
        for name, value in (NUMBERS | {"1e300": 1e300, "10**400": 10**400}).items()
    },
    **{
        f"no {key}": (lacking(CONFIG, key), f"{key} is None{SIZE}")
        for key in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    },
    **{
        f"{key} {value!r}": (config(**{key: value}), f"{key} is {told}{KNOWS} supports: ")
        for key, value, told in (
            ("hidden_act", "gelu", "gelu"),
            ("hidden_act", 5, "5"),
            ("attention_bias", "false", "'false'"),
            ("attention_bias", True, "True"),
            ("mlp_bias", True, "True"),
            ("mlp_bias", 1.5, "1.5"),
            ("head_dim", 8, "8"),
            ("partial_rotary_factor", 0.5, "0.5"),
            ("partial_rotary_factor", "1", "'1'"),
        )
    },
    "hidden_act of many lines": (config(hidden_act=LINES), r"hidden_act is 'words\\nwords"),
    **{
        f"tie_word_embeddings {value!r}": (
            config(tie_word_embeddings=value),
            "tie_word_embeddings is .*; allowed: true or false",
        )
        for value in ("false", 0, 1, None, [])
    },
    **{
        f"architectures {value!r}": (config(architectures=value), "architectures is .*; allowed: a list with a name")
        for value in ("LlamaForCausalLM", ["LlamaForSequenceClassification"], ["LlamaModel"], [5], {"a": 1}, [None])
    },
    "groups": (config(num_key_value_heads=3), r"num_attention_heads is 4; allowed: a multiple of num_key_value_heads"),
    "odd heads": (config(hidden_size=12, head_dim=3), "head_dim is 3; allowed: an even number"),
    "gpt2's n_inner": (whole(GPT2, n_inner=7), f"n_inner is 7{KNOWS} supports: None, 64"),
    "gpt2's n_head": (whole(GPT2, n_head=3), "n_embd is 16; allowed: a multiple of n_head"),
    "gpt2's n_positions": (whole(GPT2, n_positions="96"), f"n_positions is '96'{SIZE}"),
    "gpt2's epsilon": (whole(GPT2, layer_norm_epsilon=1e-3), rf"layer_norm_epsilon is 0\.001{KNOWS}"),
    "qwen2's window": (whole(QWEN2, use_sliding_window=True), f"use_sliding_window is True{KNOWS}"),
    "qwen3's head_dim": (whole(QWEN3, head_dim=None), f"head_dim is None{SIZE}"),
    "gemma's groups": (whole(GEMMA, num_key_value_heads=None), f"num_key_value_heads is None{SIZE}"),
    "gemma's epsilon": (whole(GEMMA, rms_norm_eps=1e-5), f"rms_norm_eps is 1e-05{KNOWS}"),
    **{
        f"{base['model_type']}'s {key} {value!r}": (whole(base, **{key: value}), f"{key} is .*{ABOVE_0}")
        for base in (GEMMA2, GEMMA3)
        for key in ("final_logit_softcapping", "attn_logit_softcapping")
        for value in ("30", 0, -1, True)
    },
    **{
        f"{base['model_type']}'s sliding_window {value!r}": (whole(base, sliding_window=value), f"sliding_win.*{SIZE}")
        for base, nothing in ((MISTRAL, ()), (GEMMA2, (None,)), (GEMMA3, (None,)))
        for value in ("4096", 0, -1, 2.5, True, HUGE, *nothing)
    },
    **{
        f"{base['model_type']}'s layer_types {value!r:.30}": (whole(base, layer_types=value), f"layer_types {told}")
        for base, value, told in (
            (MISTRAL, [SLIDING, FULL], "has 'full_attention' at 1; .* supports there: sliding_attention"),
            (QWEN2, [SLIDING, FULL], "has 'sliding_attention' at 0; .* supports there: full_attention"),
            (QWEN2, [FULL], r"is \['full_attention'\]; allowed: a list of 2, the num_hidden_layers"),
            (QWEN2, FULL, "is 'full_attention'; allowed: a list of 2"),
            (QWEN3, [[FULL]] * 2, r"has \['full_attention'\] at 0"),
            (GEMMA2, [FULL, SLIDING], "has 'full_attention' at 0"),
            (QWEN2 | {"num_hidden_layers": 10**9}, [FULL], r"is \['full_attention'\]; allowed: a list of 1000000000"),
        )
    },
    **{
        f"{key} {value!r:.40}": (config(**{key: value}), rf"{key}\.rope_type is {told}; .* supports: default, llama3")
        for key, value, told in (
            ("rope_scaling", {"rope_type": "yarn", "factor": 4.0}, "yarn"),
            ("rope_scaling", {"type": "linear", "factor": 2.0}, "linear"),
            ("rope_scaling", {"type": "dynamic", "factor": 2.0}, "dynamic"),
            ("rope_parameters", {"rope_type": "longrope", "factor": 2.0}, "longrope"),
            ("rope_parameters", {"rope_type": ["llama3"]}, r"\['llama3'\]"),
            ("rope_parameters", {"rope_type": LINES}, r"'words\\n.*"),
        )
    },
    **{
        f"{key} is {value!r:.20}": (config(**{key: value}), f"{key} is .*; allowed: null or an object with rope_type")
        for key in ("rope_scaling", "rope_parameters")
        for value in ("llama3", 8.0, [LLAMA3], False)
    },
    **{
        f"llama3's {key} {name}": (config(rope_scaling=LLAMA3 | {key: value}), rf"rope_scaling\.{key} is .*{ABOVE_0}")
        for key in FACTORS
        for name, value in (NUMBERS | {"null": None}).items()
    },
    **{
        f"llama3 without {key}": (
            config(rope_parameters={k: v for k, v in LLAMA3.items() if k != key}),
            rf"rope_parameters\.{key} is None{ABOVE_0}",
        )
        for key in FACTORS
    },
    "llama3's factors": (
        config(rope_scaling=LLAMA3 | {"high_freq_factor": 1.0}),
        r"rope_scaling\.high_freq_factor is 1\.0; allowed",
    ),
    "two bases": (config(rope_parameters={"rope_theta": 5e5}), r"rope_theta is 10000\.0, and in rope_parameter"),
    "two scalings": (
        config(rope_scaling=LLAMA3, rope_parameters=LLAMA3 | {"factor": 4.0}),
        "rope_parameters and rope_scaling contradict each other; allowed: one",
    ),
    "half of a head": (config(rope_parameters={"partial_rotary_factor": 0.5}), r"\S+partial_rotary_factor is 0\.5;"),
    **{
        f"gemma3's {name}": (whole(GEMMA3, rope_parameters=value), told)
        for name, value, told in (
            ("far", {FULL: 5}, r"rope_parameters\.full_attention is 5; allowed: null or an object"),
            ("near", {FULL: {}, SLIDING: []}, r"rope_parameters\.sliding_attention is \[\]; allowed: null"),
            ("scaled", {FULL: {}, SLIDING: {"rope_type": "linear"}}, r"\S+sliding_attention is 'linear'; allowed"),
            (
                "yarn",
                {FULL: {"rope_type": "yarn"}},
                r"rope_parameters\.rope_type is yarn; .* supports: default, linear",
            ),
        )
    },
}

CUT = '; allowed: one that ends in ByteLevel, Metaspace with "▁", or none'
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
        for value in (None, {}, [["a", 0]], "a")
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
        for part in ("<s>", 5, None, {}, {"SpecialToken": "<s>"}, {"SpecialToken": {"id": 5}}, {"SpecialToken": {}})
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
        for value in (5, [], {"ids": 0}, {"ids": [0, 0]}, {"ids": [HUGE]}, {"ids": ["0"]}, {"ids": []}, {})
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

NO_TOKEN = ("<none>", 5, True, [START], {}, {"lstrip": True}, {"content": None}, {"content": 5}, "\ud800")
SPECIAL_TOKENS: Refused = {
    **{
        f"{key} {value!r}": (settings(**{key: value}), rf"/{SETTINGS}: {key} is .*; allowed: null or a token")
        for key in ("bos_token", "eos_token", "pad_token")
        for value in NO_TOKEN
    },
    **{
        f"{key} {value!r}": (settings(**{key: value}), rf"/{SETTINGS}: {key} is .*; allowed: true, false or null")
        for key in ("add_bos_token", "add_eos_token")
        for value in ("true", 1, [], START)
    },
    "an end behind each text": (
        both(settings(add_eos_token=True), parts(post_processor=None)),
        f"/{SETTINGS}: add_eos_token is True; allowed",
    ),
    **{
        f"{name}'s eos_token_id {value!r}": (
            keys(name, eos_token_id=value),
            f"/{name}: eos_token_id is .*; allowed: null, an id or a list of ids",
        )
        for name in (CONFIG, GENERATION)
        for value in ("1", 1.0, ["1"], [[1]], True, {"a": 1}, END)
    },
    "no end": (
        both(
            settings(eos_token=None),
            without(GENERATION),
            lambda folder: (folder / TOKENIZER).write_text((folder / TOKENIZER).read_text().replace(END, "<|x|>")),
        ),
        r" names no token that ends a text; give tokenizer_config\.json an eos_token",
    ),
    "an end that is no id": (
        both(
            settings(eos_token=None),
            keys(GENERATION, eos_token_id=[5000, -1]),
            lambda folder: (folder / TOKENIZER).write_text((folder / TOKENIZER).read_text().replace(END, "<|x|>")),
        ),
        " names no token that ends a text",
    ),
    **{
        f"id {number}": (change, f": vocab_size is {len(TOKENS)}, but the tokenizer has ids up to {number};")
        for number, change in (
            (4 * 10**9, tokens(x=4 * 10**9)),
            (len(TOKENS), tokens(x=len(TOKENS))),
            (10**9, added({"id": 10**9, "content": "<x>"})),
        )
    },
}

NO_FILE, LOST = (
    r"/model\.safetensors is no safetensors file",
    r"/model\.safetensors cannot be loaded: SafetensorError: ",
)
SHAPE = "cannot be loaded: {} has the shape {}; allowed by config.json: {}"
TOKENS_BY = f"({len(TOKENS)}, {WIDTH})"
STORED: Refused = {
    "no weights": (without(WEIGHTS), r" has neither model\.safetensors nor model\.safetensors\.index\.json: author"),
    "quantized": (config(quantization_config={"bits": 4}), r" is quantized \(quantization_config\)"),
    "header cut off": (cut(WEIGHTS, 100), NO_FILE),
    "data cut off": (cut(WEIGHTS, -9), LOST),
    "empty": (written(WEIGHTS, b""), NO_FILE),
    "huge header": (written(WEIGHTS, struct.pack("<Q", 2**62) + b"{}"), NO_FILE),
    "header longer than the file": (written(WEIGHTS, struct.pack("<Q", 10_000) + b"{}"), LOST),
    "header of a list": (header([1]), NO_FILE),
    "header nested": (header(NESTED.encode()), NO_FILE),
    "header of nothing": (header({}), r"/config\.json: num_hidden_layers is 2; allowed: at most 0, its weights"),
    "offsets beyond": (header({NORM: {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}), LOST),
    "another shape than bytes": (
        header({NORM: {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 64]}}, bytes(64)),
        LOST,
    ),
    "unknown type": (header({NORM: {"dtype": "Q4", "shape": [16], "data_offsets": [0, 64]}}, bytes(64)), LOST),
    **{
        f"weights in {name}": (
            weight(QUERY, lambda found, kind=kind: found.astype(kind)),
            rf"/model\.safetensors: {QUERY} is in {name}; allowed: F32, BF16, F16, F64",
        )
        for kind, name in (
            (np.int64, "I64"),
            (np.int8, "I8"),
            (np.uint8, "U8"),
            (np.bool_, "BOOL"),
            (ml_dtypes.float8_e4m3fn, "F8_E4M3"),
        )
    },
    **{
        name: (change, "/model.safetensors " + re.escape(SHAPE.format(which, found, wanted)))
        for name, change, which, found, wanted in (
            ("another shape", weight(QUERY, lambda found: found[:8]), QUERY, "(8, 16)", "(16, 16)"),
            ("more dimensions", weight(NORM, lambda found: found[None]), NORM, "(1, 16)", "(16,)"),
            ("turned", weight(HEAD_ROWS, np.transpose), HEAD_ROWS, f"({WIDTH}, {len(TOKENS)})", TOKENS_BY),
            ("more vocabulary", config(vocab_size=1000), TABLE, TOKENS_BY, "(1000, 16)"),
            ("less vocabulary", config(vocab_size=200), TABLE, TOKENS_BY, "(200, 16)"),
            ("huge vocabulary", config(vocab_size=2**31 - 1), TABLE, TOKENS_BY, "(2147483647, 16)"),
            ("wider", config(intermediate_size=25), "model.layers.0.mlp.gate_proj.weight", "(24, 16)", "(25, 16)"),
        )
    },
    "billions of layers": (config(num_hidden_layers=10**9), r"/config\.json: num_hidden_layers is 10{9}; allowed"),
    "more layers": (config(num_hidden_layers=3), r" has no weight model\.layers\.2\.\S+, which a llama of 3 layers"),
    "fewer layers": (config(num_hidden_layers=1), r" holds weights that no llama of 1 layers has: model\.layers\.1\."),
    "a weight missing": (fewer(NORM), r" has no weight model\.norm\.weight, which a llama of 2 layers has; download"),
    "no head": (fewer(HEAD_ROWS), r" has no weight lm_head\.weight"),
    "a bias left over": (
        more("model.layers.0.self_attn.q_proj.bias", np.zeros(WIDTH, np.float32)),
        r" holds weights that no llama of 2 layers has: model\.layers\.0\.self_attn\.q_proj\.bias; it is another model",
    ),
    "a name of two lines": (more("score\n", np.ones(3)), r" holds weights that no llama of 2 layers has: 'score\\n'"),
    "both names of a weight": (more("norm.weight", np.ones(WIDTH)), " holds weights that no llama .*: norm.weight"),
    "index: missing file": (sharded(**{NORM: "model-3.safetensors"}), r" lacks model-3\.safetensors, which model"),
    **{
        f"index: {name!r}": (
            sharded(**{NORM: name}),
            r"/model\.safetensors\.index\.json names weights outside of its folder",
        )
        for name in ("/etc/passwd", "../model-1.safetensors", ".hidden.safetensors", 5, None)
    },
    "index: no name": (sharded(**{NORM: ""}), r"/model\.safetensors\.index\.json: weight_map has '' for 'model"),
    "index: a long name": (sharded(**{NORM: "x" * 5000}), r"/model\.safetensors\.index\.json: weight_map has 'x.* …"),
    "index: no weights": (sharded(**{NORM: CONFIG}), r"/config\.json cannot be loaded: SafetensorError"),
    **{
        f"index: {name}": (change, r"/model-[12]\.safetensors lacks \S+weight, which model\.safetensors\.index")
        for name, change in (
            ("unknown weight", sharded(**{"x.weight": "model-1.safetensors"})),
            ("other file", sharded(**dict.fromkeys((NORM, TABLE, HEAD_ROWS, QUERY), "model-1.safetensors"))),
        )
    },
    "index: a list": (both(sharded(), written(INDEX, "[]")), r"/model\.safetensors\.index\.json holds no JSON object"),
    **{
        f"index: weight_map {value!r}": (
            both(sharded(), keys(INDEX, weight_map=value)),
            r"/model\.safetensors\.index\.json: weight_map is .*; allowed: an object of weights and files",
        )
        for value in (None, {}, [], "x", 5)
    },
    "a weight in two files": (
        both(sharded(), *(more(NORM, np.ones(WIDTH), f"model-{i}.safetensors") for i in (1, 2))),
        r"/model-1\.safetensors and model-2\.safetensors both hold 'model\.norm\.weight'; allowed: one of them",
    ),
}

TABLES = (
    ("", FOLDER),
    (r"/config\.json:? ", CONFIGURATION),
    (r"/tokenizer\.json: ", TOKENIZING),
    (r"/tokenizer\.json is not a valid tokenizer: .*", NO_TOKENIZER),
    ("", SPECIAL_TOKENS),
    ("", STORED),
)
REFUSED = {name: (change, place + told) for place, table in TABLES for name, (change, told) in table.items()}
REFUSED |= {
    f"model_type {kind!r:.20}": (
        config(model_type=kind),
        r"/config\.json has the model_type .*; allowed: gpt2, llama, m",
    )
    for kind in ("mamba", 5, None, ["llama"], {"a": 1}, LINES, "Llama")
} | {"no architectures": (lacking(CONFIG, "architectures"), r"/config\.json names no architectures")}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return odd_folders.make(tmp_path_factory.mktemp("originals"))


@pytest.fixture
def folder(originals: Path, tmp_path: Path) -> Path:
    """A Llama's folder, which may be changed."""
    return Path(shutil.copytree(originals / "llama", tmp_path / "folder"))


@pytest.fixture
def unmade(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is made, and no weight read."""

    def fail(*arguments: Any) -> None:
        raise AssertionError("a model was made")

    monkeypatch.setattr(keras_import, "_new_backbone", fail)


def refusal(place: Path) -> str:
    """The line with which a folder is refused, which every terminal can show."""
    with pytest.raises(UserError) as found:
        loading.load(place)
    text = str(found.value)
    assert text.isprintable()
    assert len(text.replace(str(place), "")) < 800
    return text


def test_the_table_is_long_and_says_no_name_twice() -> None:
    assert len(REFUSED) == sum(len(table) for _, table in TABLES) + 8


@pytest.mark.usefixtures("unmade")
@pytest.mark.parametrize("name", REFUSED)
def test_one_line_says_what_is_wrong(name: str, folder: Path) -> None:
    change, told = REFUSED[name]
    change(folder)
    text = refusal(folder)
    assert re.match(re.escape(str(folder)) + told, text), text


@pytest.mark.usefixtures("unmade")
def test_a_file_is_no_folder(folder: Path) -> None:
    assert str(folder / CONFIG) in refusal(folder / CONFIG)
    assert "holds no config.json" in refusal(folder / "none")


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """As a user who may not read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.usefixtures("unmade")
@pytest.mark.parametrize("name", [CONFIG, TOKENIZER, SETTINGS, WEIGHTS, "."])
def test_what_may_not_be_read_is_named(name: str, originals: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)
        place = Path(shutil.copytree(originals / "llama", Path(scratch) / "folder"))
        place.chmod(0o755)
        for path in place.iterdir():
            path.chmod(0o644)
        (place / name).chmod(0)
        with nobody():
            text = refusal(place)
        (place / name).chmod(0o755)
    assert text.startswith(f"{place}{'' if name == '.' else '/' + name}")
    assert "cannot be read (Permission denied)" in text


NOT_FINITE = r"holds numbers that are not finite \(NaN, infinity\); download it again"
OF_WEIGHTS: Refused = {
    "NaN": (weight(QUERY, lambda found: np.where(found > 0.5, np.nan, found)), NOT_FINITE),
    "infinity in BF16": (both(weight(NORM, lambda found: found * np.inf), cast(ml_dtypes.bfloat16)), NOT_FINITE),
    "more than float32": (weight(TABLE, lambda found: found.astype(np.float64) * 1e200), NOT_FINITE),
    "a head that is tied and another": (
        config(tie_word_embeddings=True),
        rf"tie_word_embeddings is true, but {HEAD_ROWS} is not equal to {TABLE}; allowed",
    ),
}


@pytest.mark.parametrize("name", OF_WEIGHTS)
def test_weights_that_are_none_are_refused(name: str, folder: Path) -> None:
    change, told = OF_WEIGHTS[name]
    change(folder)
    assert re.search(told, refusal(folder))


READ = {key for kind in model_types.MODEL_TYPES.values() for key in (*kind.sizes, *kind.defaults, "rope_scaling")}


def seen(place: Path) -> dict[str, Any]:
    """All that is read of a folder."""
    found = huggingface.read(place)
    with found.open() as file:
        weights = {name.removeprefix("model."): np.asarray(file.get_tensor(name), np.float32) for name in file.names}
    return {key: found.config.get(key) for key in READ} | {
        "tokenizer": found.tokenizer,
        "start": found.start_token_id,
        "ends": found.end_token_ids,
        "padding": found.pad_token_id,
        "weights": weights,
    }


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    weights, others = found["weights"], expected["weights"]
    assert found | {"weights": None} == expected | {"weights": None}
    assert {name: array.shape for name, array in weights.items()} == {n: array.shape for n, array in others.items()}
    assert [name for name, array in weights.items() if not np.array_equal(array, others[name])] == []


DEFAULTS = ("rms_norm_eps", "rope_theta", "rope_scaling", "tie_word_embeddings", "attention_bias", "mlp_bias")
DEFAULTS += ("hidden_act", "head_dim")
BARE = {"type": "TemplateProcessing", "single": [FIRST, SEQUENCE], "special_tokens": {}}
ACCEPTED: dict[str, tuple[Change, dict[str, Any]]] = {
    **{f"{name} with a mark": (encoded(name, "utf-8-sig"), {}) for name in (CONFIG, TOKENIZER, SETTINGS, GENERATION)},
    "index with a mark": (both(sharded(), encoded(INDEX, "utf-8-sig")), {}),
    **{f"no {key}": (lacking(CONFIG, key), {}) for key in DEFAULTS},
    "no defaults": (lacking(CONFIG, *DEFAULTS), {}),
    **{f"{key} null": (config(**{key: None}), {}) for key in DEFAULTS if key != "tie_word_embeddings"},
    "no longest text": (lacking(CONFIG, "max_position_embeddings"), {"max_position_embeddings": 2048}),
    "torch_dtype": (config(torch_dtype="bfloat16", transformers_version="4.40.0", use_cache=True), {}),
    "dtype": (config(dtype="bfloat16", transformers_version="5.0.0"), {}),
    "layer_types": (config(layer_types=[FULL, FULL]), {}),
    "quantization_config null": (config(quantization_config=None), {}),
    "whole numbers as factors": (config(rope_theta=10000, rms_norm_eps=1), {"rope_theta": 10000, "rms_norm_eps": 1}),
    **{
        f"{key} {value}": (config(**{key: value}), {})
        for key in ("rope_scaling", "rope_parameters")
        for value in ({}, {"type": "default"}, {"rope_type": "default"}, {"type": "default", "rope_theta": 10000.0})
    },
    "rope_theta by transformers 5": (
        both(lacking(CONFIG, "rope_theta", "rope_scaling"), config(rope_parameters={"rope_theta": 5e5})),
        {"rope_theta": 5e5},
    ),
    **{
        f"llama3 in {key} by {name}": (
            config(**{key: {name if k == "rope_type" else k: v for k, v in LLAMA3.items()}}),
            {"rope_scaling": LLAMA3},
        )
        for key in ("rope_scaling", "rope_parameters")
        for name in ("type", "rope_type")
    },
    "merges as texts": (bpe(merges=[" ".join(pair) for pair in MERGES]), {}),
    "no model.type": (lambda f: bpe()(f) or lacking_in_model(f, "type"), {}),
    "flags left out": (lambda f: lacking_in_model(f, "dropout", "unk_token", "fuse_unk", "byte_fallback"), {}),
    "start as an object": (settings(bos_token={"content": START, "special": True}), {}),
    "start null": (settings(bos_token=None), {}),
    "end as an object": (settings(eos_token={"content": END}), {}),
    "end by generation_config.json": (settings(eos_token=None), {}),
    "end by config.json": (both(settings(eos_token=None), without(GENERATION), config(eos_token_id=1)), {}),
    "end by its name": (both(settings(eos_token=None), without(GENERATION)), {}),
    "no settings": (without(SETTINGS), {"padding": None}),
    "two ends": (keys(GENERATION, eos_token_id=[1, 2]), {"ends": (1, 2)}),
    "ends of another tokenizer": (keys(GENERATION, eos_token_id=[1, 5000, -1]), {}),
    "ends null": (both(keys(GENERATION, eos_token_id=None), config(eos_token_id=None)), {}),
    "padding null": (settings(pad_token=None), {"padding": None}),
    "start by the vocabulary": (parts(post_processor=BARE), {"tokenizer": {"post_processor": BARE}}),
    **{
        f"no post_processor, add_bos_token {value}": (
            both(parts(post_processor=None), settings(add_bos_token=value)),
            {"tokenizer": {"post_processor": None}, "start": start},
        )
        for value, start in ((True, 0), (False, None), (None, None))
    },
    **{
        f"weights in {kind.__name__}": (cast(kind), {"weights": kind})
        for kind in (ml_dtypes.bfloat16, np.float16, np.float64)
    },
    "two files": (sharded(), {}),
    "two files in BF16": (both(cast(ml_dtypes.bfloat16), sharded()), {"weights": ml_dtypes.bfloat16}),
    "an index that is not read": (written(INDEX, json.dumps({"weight_map": {"x": "model-9.safetensors"}})), {}),
    "a base model's names": (arrays(lambda f: {n.removeprefix("model."): array for n, array in f.items()}), {}),
    "constants": (more("model.layers.0.self_attn.rotary_emb.inv_freq", np.ones(2, np.float32)), {}),
    "other files": (
        both(
            written("README.md", "# é"),
            written(".gitattributes", b"\x80"),
            written("chat_template.jinja", "{{ x }}"),
            written("special_tokens_map.json", "{}"),
            written("LICENSE", "MIT"),
        ),
        {},
    ),
}


def lacking_in_model(folder: Path, *gone: str) -> None:
    """tokenizer.json, of which the model lacks keys."""
    model = odd_folders.read(folder / TOKENIZER)["model"]
    parts(model={key: value for key, value in model.items() if key not in gone})(folder)


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_merely_unusual_is_read_as_it_says(name: str, originals: Path, folder: Path) -> None:
    change, differing = ACCEPTED[name]
    change(folder)
    expected = seen(originals / "llama")
    for key, value in differing.items():
        if key == "weights":
            expected[key] = {n: array.astype(value).astype(np.float32) for n, array in expected[key].items()}
        else:
            expected[key] = expected[key] | value if key == "tokenizer" else value
    assert_same(seen(folder), expected)


def test_a_tied_head_may_be_there_again(folder: Path) -> None:
    config(tie_word_embeddings=True)(folder)
    fewer(HEAD_ROWS)(folder)
    expected = seen(folder)
    more(HEAD_ROWS, load_file(folder / WEIGHTS)[TABLE])(folder)
    assert_same(seen(folder), expected)
    assert HEAD_ROWS not in expected["weights"]


@pytest.mark.parametrize("prefix", ["", "transformer."])
@pytest.mark.parametrize(
    "changes", [{}, {"n_inner": 64, "activation_function": "gelu_pytorch_tanh"}, {"tie_word_embeddings": True}]
)
def test_gpt2_with_and_without_a_prefix(prefix: str, changes: dict[str, Any], originals: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(originals / "gpt2", tmp_path / "folder"))
    config(**changes)(place)
    arrays(lambda found: {prefix + name: array for name, array in found.items()})(place)
    found, expected = seen(place), seen(originals / "gpt2")
    weights = {name.removeprefix(prefix): array for name, array in found["weights"].items()}
    assert_same(found | {"weights": weights}, expected | changes)
    assert not any(name.endswith(".attn.bias") for name in weights)


# Keys that are left out (...) or null, and what transformers 5.24 takes in their place.
TAKEN: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (MISTRAL | {"num_attention_heads": 8}, {"num_key_value_heads": ...}, {"num_key_value_heads": 8}),
    (MISTRAL, {"num_key_value_heads": None}, {"num_key_value_heads": 4}),
    (MISTRAL, {}, {"sliding_window": 4096, "rope_theta": 10_000.0}),
    (MISTRAL, {"sliding_window": None}, {"sliding_window": None}),
    (MISTRAL, {"max_position_embeddings": ...}, {"max_position_embeddings": 131_072}),
    (MISTRAL, {"head_dim": None}, {"head_dim": HEAD}),
    (LLAMA, {"num_key_value_heads": ...}, {"num_key_value_heads": 4}),
    (LLAMA, {"num_key_value_heads": None}, {"num_key_value_heads": 4}),
    (QWEN2 | {"num_attention_heads": 4}, {"num_key_value_heads": None}, {"num_key_value_heads": 4}),
    (QWEN2, {"max_position_embeddings": ...}, {"max_position_embeddings": 32_768}),
    (QWEN2, {"sliding_window": 7, "max_window_layers": 1}, {"use_sliding_window": False}),
    (QWEN3, {"head_dim": ...}, {"head_dim": 128}),
    (GEMMA | {"num_attention_heads": 16}, {"num_key_value_heads": ...}, {"num_key_value_heads": 16}),
    (GEMMA, {"head_dim": ..., "tie_word_embeddings": ...}, {"head_dim": 256, "tie_word_embeddings": True}),
    (GEMMA, {"hidden_act": "gelu"}, {"hidden_activation": "gelu_pytorch_tanh"}),
    (GEMMA2, {}, {"final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0, "sliding_window": 4096}),
    (
        GEMMA2,
        {"final_logit_softcapping": None, "attn_logit_softcapping": None},
        {"final_logit_softcapping": None, "attn_logit_softcapping": None},
    ),
    (GEMMA2, {"layer_types": [SLIDING, FULL]}, {}),
    (GEMMA3, {}, {"final_logit_softcapping": None, "rope_theta": 1e6, "rope_local_base_freq": 1e4}),
    (
        GEMMA3,
        {"rope_parameters": {FULL: {"rope_type": "linear", "factor": 8.0}, SLIDING: None}},
        {"rope_scaling": {"rope_type": "linear", "factor": 8.0}, "rope_parameters": {}},
    ),
    (GPT2, {"n_positions": ...}, {"n_positions": 1024, "tie_word_embeddings": True, "n_inner": None}),
]


@pytest.mark.parametrize(("base", "changes", "taken"), TAKEN)
def test_defaults_are_transformers(base: dict[str, Any], changes: dict[str, Any], taken: dict[str, Any]) -> None:
    given = {key: value for key, value in (base | changes).items() if value is not ...}
    found = transformers_config.complete(given, "config.json")
    assert {key: found[key] for key in taken} == taken


def test_weights_in_half_precision_become_the_models(originals: Path, tmp_path: Path) -> None:
    """BF16, which NumPy has not, in several files; and a vocabulary with more rows than the tokenizer has ids."""
    place = Path(shutil.copytree(originals / "llama", tmp_path / "llama"))
    given = load_file(place / WEIGHTS)
    padded = {name: np.concatenate([given[name], np.ones((58, WIDTH), np.float32)]) for name in (TABLE, HEAD_ROWS)}
    both(
        arrays(lambda found: found | padded), config(vocab_size=len(TOKENS) + 58), cast(ml_dtypes.bfloat16), sharded()
    )(place)
    found = loading.load(place)
    rounded = {name: array.astype(ml_dtypes.bfloat16).astype(np.float32) for name, array in given.items()}
    embedding, layer = found.model.backbone.token_embedding, found.model.backbone.transformer_layers[0]
    assert np.array_equal(np.asarray(embedding.embeddings), rounded[TABLE])
    assert np.array_equal(np.asarray(embedding.reverse_embeddings), rounded[HEAD_ROWS].T)
    query = np.asarray(layer._self_attention_layer._query_dense.kernel)
    assert np.array_equal(query.reshape(WIDTH, WIDTH), rounded[QUERY].T)
    assert (found.start_token_id, found.end_token_ids, found.pad_token_id) == (0, (1,), TOKENS.index(PADDING))

    place = Path(shutil.copytree(originals / "gpt2", tmp_path / "gpt2"))
    given = load_file(place / WEIGHTS)
    arrays(lambda _: {n: a.astype(np.float16) for n, a in given.items() if not n.endswith(".attn.bias")})(place)
    backbone = loading.load(place).model.backbone
    table = np.asarray(backbone.token_embedding.embeddings)
    assert np.array_equal(table, given["wte.weight"].astype(np.float16).astype(np.float32))
