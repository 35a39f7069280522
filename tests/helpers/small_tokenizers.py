"""Tokenizers of a few tokens, written by hand."""

from collections.abc import Sequence
from typing import Any

from autocomplete.tokenizer import pre_tokenizers
from helpers.learned_tokenizers import BLANK, BYTES, CHARACTERS, REPLACE, UNKNOWN, Content, completed


def merges(*words: str) -> list[list[str]]:
    """Merges that build the characters of words, then the words from the left, in a byte-level BPE's alphabet."""
    pairs: dict[tuple[str, str], None] = {}
    for word in words:
        characters = ["".join(CHARACTERS[b] for b in c.encode()) for c in word]
        for parts in [*characters, characters]:
            pairs |= dict.fromkeys(("".join(parts[:i]), parts[i]) for i in range(1, len(parts)))
    return [list(pair) for pair in pairs]


def small(*words: str, cut: str = pre_tokenizers.GPT2, added: Sequence[Content] = (), **parts: Any) -> Content:
    """A byte-level BPE of all bytes and a few words; `model` sets keys of its model."""
    pairs = merges("qq", *words)
    tokens = dict.fromkeys([*CHARACTERS.values(), *("".join(pair) for pair in pairs)])
    model = {"type": "BPE", "vocab": {token: i for i, token in enumerate(tokens)}, "merges": pairs}
    content = {"pre_tokenizer": pre_tokenizers.pre_tokenizer(cut)} | parts | {"model": model | parts.get("model", {})}
    return completed(content.pop("model"), added, **content)


def small_characters(characters: str = "abc", added: Sequence[Content] = (), **parts: Any) -> Content:
    """A BPE of "▁", a few characters and all bytes."""
    tokens = [UNKNOWN, *BYTES, BLANK, *characters, "q", "qq"]
    model = {"vocab": {token: i for i, token in enumerate(tokens)}, "merges": [["q", "q"]]}
    flags = {"unk_token": UNKNOWN, "byte_fallback": True, "fuse_unk": True}
    return completed(model | flags, added, **({"normalizer": REPLACE} | parts))


def extended(content: Content, *pairs: tuple[str, str]) -> Content:
    """A tokenizer.json with additional merges and their tokens."""
    model = content["model"]
    ids = dict(model["vocab"])
    for pair in pairs:
        ids.setdefault("".join(pair), max(ids.values()) + 1)
    return content | {"model": model | {"vocab": ids, "merges": [*model["merges"], *map(list, pairs)]}}


def token(text: str) -> str:
    """A text in the alphabet of a byte-level BPE."""
    return "".join(CHARACTERS[b] for b in text.encode())


def whole_words_of(*names: str, added: Sequence[Content] = (), **model: Any) -> Content:
    """A byte-level BPE in which a word that is a token is not merged; `names` are tokens that no merges build."""
    ids = small("ab")["model"]["vocab"] | {name: 1000 + i for i, name in enumerate(names)}
    return small("ab", cut=pre_tokenizers.LLAMA3, added=added, model={"ignore_merges": True, "vocab": ids} | model)


YOUNG = "\U00011de0\U00011de1\U00016ff4"  # digits to the pre-tokenizer Digits, not yet to regular expressions
YOUNG_TEXTS = [YOUNG[:2], f"{YOUNG} 7{YOUNG}x", f"a {YOUNG} b", f"  {YOUNG}  ", f"'{YOUNG[0]}s", f"1{YOUNG[0]}!"]
