"""A special token that a text becomes is refused, and one that none becomes is taken."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import tokenizers

from autocomplete.tokenizer import pre_tokenizers, tokenizer, tokenizer_json, unreachable_tokens
from helpers import vocabularies
from helpers.learned_tokenizers import BLANK, BYTES, KINDS, NFC, PREFIX, REPLACE, UNKNOWN, Content, own
from helpers.small_tokenizers import extended, small, small_characters, whole_words_of
from helpers.tokenizer_contents import METASPACE, PLACE, refused


def marked(content: Content, *names: str) -> Content:
    """A tokenizer.json in which tokens of the vocabulary are special."""
    ids = content["model"]["vocab"]
    flags = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False) | {"special": True}
    added = [{"id": ids[name], "content": name} | flags for name in names]
    return content | {"added_tokens": [*content["added_tokens"], *added]}


def with_model(content: Content, **changes: Any) -> Content:
    return content | {"model": content["model"] | changes}


def llama2(*pairs: tuple[str, str]) -> Content:
    """Characters behind a "▁" that is put before each text."""
    return extended(small_characters("abc<s>/", normalizer=PREFIX), *pairs)


def whole_words_of_characters(*names: str, **parts: Any) -> Content:
    made = small_characters(**parts)
    ids = made["model"]["vocab"] | {name: 1000 + i for i, name in enumerate(names)}
    return with_model(made, vocab=ids, ignore_merges=True)


BYTE, MORE = BYTES[7], "".join(BYTES[7:9])
# What is refused, and a text that becomes the special token.
REACHED: dict[str, tuple[Callable[[], Content], str]] = {
    "a merge": (lambda: marked(small("ab"), "ab"), "ab"),
    "a merge behind a space": (lambda: marked(small(" the"), "Ġthe"), "a the"),
    "a merge of bytes": (lambda: marked(small("é"), "Ã©"), "café"),
    "a byte": (lambda: marked(small("ab"), "a"), "cac"),
    "a byte with another name": (lambda: marked(small("ab"), "Ċ"), "a\nb"),
    "a byte of a longer character": (lambda: marked(small("ab"), "Ã"), "é"),
    "a merge in the middle alone": (lambda: marked(llama2((BLANK, "<"), ("s", ">"), ("<", "s>")), "<s>"), "a<s>"),
    "a merge in words": (lambda: marked(llama2(("a", "b"), (BLANK, "ab")), "ab"), "cab"),
    "a merge with a blank": (lambda: marked(llama2(("a", "b"), (BLANK, "ab")), "▁ab"), "ab"),
    "a character": (lambda: marked(llama2(), "a"), "b a"),
    "the blank": (lambda: marked(llama2(), BLANK), "a"),
    "a byte of fallback": (lambda: marked(llama2(), BYTE), "a\x07"),
    "a merge of bytes of fallback": (lambda: marked(extended(llama2(), (BYTE, BYTES[8])), MORE), "\x07\x08"),
    "a merge with the unknown token": (
        lambda: marked(with_model(extended(llama2(), (UNKNOWN, "a")), byte_fallback=False), f"{UNKNOWN}a"),
        "☃a",
    ),
    "a whole word": (lambda: marked(whole_words_of("zqx"), "zqx"), "zqx"),
    "a whole word behind a space": (lambda: marked(whole_words_of("Ġzqx"), "Ġzqx"), "a zqx"),
    "a whole word of other bytes": (lambda: marked(whole_words_of("æĹ¥"), "æĹ¥"), "日"),
    "a whole word behind an added token": (
        lambda: marked(whole_words_of("zqx", added=own("<t>")), "zqx") | {"normalizer": NFC},
        "<t>zqx",
    ),
    "a whole text": (lambda: marked(whole_words_of_characters("▁zqx", normalizer=PREFIX), "▁zqx"), "zqx"),
    "a whole text with a blank": (lambda: marked(whole_words_of_characters("z▁x", normalizer=REPLACE), "z▁x"), "z x"),
    "a whole word of Metaspace": (
        lambda: marked(whole_words_of_characters("▁zqx", pre_tokenizer=METASPACE, normalizer=None), "▁zqx"),
        "a zqx",
    ),
    "a whole word of Metaspace behind an added token": (
        lambda: marked(
            whole_words_of_characters("zqx", pre_tokenizer=METASPACE, normalizer=None, added=own("<t>")), "zqx"
        ),
        "<t>zqx",
    ),
}


def app(content: Content) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(tokenizer_json.serialize(tokenizer_json.for_clients(content)))


@pytest.mark.parametrize("name", REACHED)
def test_a_special_token_that_a_text_becomes_is_refused(name: str) -> None:
    made, text = REACHED[name][0](), REACHED[name][1]
    special = {token["id"] for token in made["added_tokens"] if token["special"]}
    assert special & set(app(made).encode(text).ids)
    refused(lambda: unreachable_tokens.require(made, PLACE), "a text becomes the special token")


def gpt2() -> Content:
    told = vocabularies.gpt2_vocabulary()
    end = {"id": told.ids[tokenizer.END_OF_TEXT], "content": tokenizer.END_OF_TEXT, "special": True}
    model = {"type": "BPE", "vocab": dict(told.ids), "merges": [list(pair) for pair in told.merges]}
    content = {"added_tokens": [end], "pre_tokenizer": pre_tokenizers.pre_tokenizer(pre_tokenizers.GPT2)}
    return tokenizer_json.complete(content | {"model": model}, "", PLACE)


TAKEN: dict[str, Callable[[], Content]] = {
    **KINDS,
    "GPT-2": gpt2,
    "a name whose parts merge": lambda: small(" he", "hell", "lo", added=own("hello", "<|x|>", special=True)),
    "a name in plain text": lambda: small("ab", added=own(" ", "☃", "\n\n", "a b", special=True)),
    "a merge that another one prevents": lambda: marked(
        extended(small_characters("abc"), ("a", "b"), ("b", "c"), ("a", "bc")), "abc"
    ),
    "tokens of Llama 2": lambda: marked(
        extended(with_model(llama2(), vocab=llama2()["model"]["vocab"] | {"<s>": 900, "</s>": 901}), ("<", "/")),
        "<s>",
        "</s>",
    ),
    "a blank as it never comes": lambda: small_characters(added=own("a b", special=True)),
    "the name of a byte without fallback": lambda: marked(with_model(llama2(), byte_fallback=False), BYTE),
    "the unknown token": lambda: marked(llama2(), UNKNOWN),
    "whole words that a pattern cuts": lambda: whole_words_of("<|x|>", "aĠb", added=own("<|x|>", "aĠb", special=True)),
}


@pytest.mark.parametrize("name", TAKEN)
def test_special_tokens_that_no_text_becomes_are_taken(name: str) -> None:
    unreachable_tokens.require(TAKEN[name](), PLACE)


# Special and added tokens, and a text of which `tokenizers` and an app without special tokens make other ids.
OVERLAPPING: dict[str, tuple[list[Content], str]] = {
    "inside": (own("<|endoftext|>", special=True) + own("oftext"), "<|endoftext|>"),
    "at its beginning": (own("<s>", special=True) + own("<s"), "<s>"),
    "at its end": (own("<s>", special=True) + own("s>"), "<s>"),
    "over its end": (own("abx", special=True) + own("bxc"), "abxc"),
    "over the end of a repeated one": (own("aa", special=True) + own("aab"), "aaab"),
    "in the normalized text": (
        own("<\u00e9>", special=True, normalized=True) + own("e\u0301>", normalized=True),
        "<\u00e9>",
    ),
}


@pytest.mark.parametrize("name", OVERLAPPING)
def test_an_added_token_that_begins_inside_a_special_one_is_refused(name: str) -> None:
    tokens, text = OVERLAPPING[name]
    made = small("qq", added=tokens, normalizer=NFC)
    assert tokenizer_json.load(made).encode(text).ids != app(made).encode(text).ids
    refused(lambda: unreachable_tokens.require(made, PLACE), "the added token .* can begin inside the special token")


APART: dict[str, list[Content]] = {
    "around it": own("<s>", special=True) + own("a<s>b", "x<s", "<s>>"),
    "sought elsewhere": own("<s>", special=True) + own("s>", normalized=True),
    "of real models": own("<|im_start|>", "<|fim_prefix|>", "<bos>", "</s>", special=True)
    + own("<|fim_pad|>", "<tool_call>", "  ", "\n\n", "<s>", "[x]"),
}


@pytest.mark.parametrize("name", APART)
def test_added_tokens_that_are_not_lost_are_taken(name: str) -> None:
    made = small("qq", added=APART[name])
    unreachable_tokens.require(made, PLACE)
    given = [f"{a['content']}{b['content'][i:]}" for a in APART[name] for b in APART[name] for i in range(4)]
    assert [found.ids for found in tokenizer_json.load(made).encode_batch(given)] == [
        found.ids for found in app(made).encode_batch(given)
    ]


def test_thousands_of_tokens_are_checked_in_seconds() -> None:
    many = own(*(f"<s{i}>" for i in range(3000)), special=True) + own(*(f"[u{i}]" for i in range(3000)), "x" * 40_000)
    made = json.loads(json.dumps(small("ab", added=many)))
    began = time.monotonic()
    unreachable_tokens.require(made, PLACE)
    tokenizer.parse_vocabulary(made, None, (0,)).token_bytes  # noqa: B018
    assert time.monotonic() - began < 5
