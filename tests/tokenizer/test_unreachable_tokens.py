"""Special tokens that a text can become are refused; others are accepted."""

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
    """Marks tokens of the vocabulary as special."""
    ids = content["model"]["vocab"]
    flags = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False) | {"special": True}
    added = [{"id": ids[name], "content": name} | flags for name in names]
    return content | {"added_tokens": [*content["added_tokens"], *added]}


def with_model(content: Content, **changes: Any) -> Content:
    return content | {"model": content["model"] | changes}


def llama2(*pairs: tuple[str, str]) -> Content:
    """A BPE of characters that puts a "▁" before each text."""
    return extended(small_characters("abc<s>/", normalizer=PREFIX), *pairs)


def whole_words_of_characters(*names: str, **parts: Any) -> Content:
    bpe = small_characters(**parts)
    ids = bpe["model"]["vocab"] | {name: 1000 + i for i, name in enumerate(names)}
    return with_model(bpe, vocab=ids, ignore_merges=True)


BYTE_TOKEN, TWO_BYTES = BYTES[7], "".join(BYTES[7:9])
# A refused tokenizer, and a text that becomes its special token.
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
    "a byte of fallback": (lambda: marked(llama2(), BYTE_TOKEN), "a\x07"),
    "a merge of bytes of fallback": (lambda: marked(extended(llama2(), (BYTE_TOKEN, BYTES[8])), TWO_BYTES), "\x07\x08"),
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
    content, text = REACHED[name][0](), REACHED[name][1]
    special = {token["id"] for token in content["added_tokens"] if token["special"]}
    assert special & set(app(content).encode(text).ids)
    refused(lambda: unreachable_tokens.require(content, PLACE), "a text becomes the special token")


def gpt2() -> Content:
    vocabulary = vocabularies.gpt2_vocabulary()
    end = {"id": vocabulary.ids[tokenizer.END_OF_TEXT], "content": tokenizer.END_OF_TEXT, "special": True}
    model = {"type": "BPE", "vocab": dict(vocabulary.ids), "merges": [list(pair) for pair in vocabulary.merges]}
    content = {"added_tokens": [end], "pre_tokenizer": pre_tokenizers.pre_tokenizer(pre_tokenizers.GPT2)}
    return tokenizer_json.complete(content | {"model": model}, "", PLACE)


ACCEPTED: dict[str, Callable[[], Content]] = {
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
    "the name of a byte without fallback": lambda: marked(with_model(llama2(), byte_fallback=False), BYTE_TOKEN),
    "the unknown token": lambda: marked(llama2(), UNKNOWN),
    "whole words that a pattern cuts": lambda: whole_words_of("<|x|>", "aĠb", added=own("<|x|>", "aĠb", special=True)),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_special_tokens_that_no_text_becomes_are_accepted(name: str) -> None:
    unreachable_tokens.require(ACCEPTED[name](), PLACE)


# Special and added tokens, and a text that an app without special tokens encodes differently than `tokenizers`.
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
    content = small("qq", added=tokens, normalizer=NFC)
    assert tokenizer_json.load(content).encode(text).ids != app(content).encode(text).ids
    refused(lambda: unreachable_tokens.require(content, PLACE), "the added token .* can begin inside the special token")


SEPARATE: dict[str, list[Content]] = {
    "around it": own("<s>", special=True) + own("a<s>b", "x<s", "<s>>"),
    "sought elsewhere": own("<s>", special=True) + own("s>", normalized=True),
    "of real models": own("<|im_start|>", "<|fim_prefix|>", "<bos>", "</s>", special=True)
    + own("<|fim_pad|>", "<tool_call>", "  ", "\n\n", "<s>", "[x]"),
}


@pytest.mark.parametrize("name", SEPARATE)
def test_added_tokens_that_are_not_lost_are_accepted(name: str) -> None:
    content = small("qq", added=SEPARATE[name])
    unreachable_tokens.require(content, PLACE)
    texts = [f"{a['content']}{b['content'][i:]}" for a in SEPARATE[name] for b in SEPARATE[name] for i in range(4)]
    assert [encoding.ids for encoding in tokenizer_json.load(content).encode_batch(texts)] == [
        encoding.ids for encoding in app(content).encode_batch(texts)
    ]


def test_thousands_of_tokens_are_checked_in_seconds() -> None:
    tokens = own(*(f"<s{i}>" for i in range(3000)), special=True) + own(*(f"[u{i}]" for i in range(3000)), "x" * 40_000)
    content = json.loads(json.dumps(small("ab", added=tokens)))
    started = time.monotonic()
    unreachable_tokens.require(content, PLACE)
    tokenizer.parse_vocabulary(content, None, (0,)).token_bytes  # noqa: B018
    assert time.monotonic() - started < 5
