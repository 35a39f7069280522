"""Byte-pair encoding, of bytes or of characters: a preset's tokenizer, training, and tokens as bytes."""

import functools
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers

from autocomplete.common.files import read_json
from autocomplete.tokenizer import graph_support, pre_tokenizers, sentencepiece_model, tokenizer_json, tokenizer_rules
from autocomplete.tokenizer.pre_tokenizers import DIGITS, GPT2, LLAMA3, QWEN, SENTENCEPIECE

FOLDER = "assets/tokenizer"  # within a KerasHub preset
FILE = f"{FOLDER}/tokenizer.json"  # the model's own, which author writes and every later stage reads
END_OF_TEXT = "<|endoftext|>"
# KerasHub's GPT-2 tokenizer pads with id 0, whatever stands there: the first token must be nobody's text.
PADDING = "<|padding|>"
BYTE_LEVEL = (GPT2, DIGITS, LLAMA3, QWEN)
# Of KerasHub's presets, which do not say it: tokens that are nobody's text, by their names.
_SPECIAL = re.compile(r"<\|.*\|>|</?s>|<pad>|<unk>|<mask>|<bos>|<eos>")
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


@dataclass(frozen=True)
class Vocabulary:
    """A BPE: token → id, merges in order of rank, ids with a meaning of their own, and what is done to a text before.

    `end` ends a text and parts documents; `other_ends` end one too. `words` is a row of patterns.py. `special` are the
    tokens that are nobody's text (None: by their names), `added` those that stand for themselves wherever a text has
    them. `unknown` stands for what has no token, once for a run of it if `fuse_unknown`; without one it is dropped.
    With `byte_fallback` bytes stand for a character that has none. `whole_words` are tokens that their merges do not
    make, and that a word is all the same.
    """

    ids: Mapping[str, int]
    merges: Sequence[tuple[str, str]]
    start: int | None
    end: int
    words: str = GPT2
    other_ends: tuple[int, ...] = ()
    special: Collection[str] | None = None
    added: tuple[str, ...] = ()
    late: bool = False
    nfc: bool = False
    prefix: str = "never"
    unknown: str | None = None
    fuse_unknown: bool = False
    byte_fallback: bool = False
    whole_words: tuple[str, ...] = ()

    @property
    def ends(self) -> tuple[int, ...]:
        """All ids that end a text."""
        return (self.end, *self.other_ends)

    @property
    def byte_level(self) -> bool:
        """Whether bytes are merged, not characters."""
        return self.words in BYTE_LEVEL

    @property
    def unknown_id(self) -> int:
        """The id of what has no token; -1 where that is dropped."""
        return -1 if self.unknown is None else self.ids[self.unknown]

    @functools.cached_property
    def pieces(self) -> list[bytes]:
        """The bytes that each token id stands for."""
        return token_bytes(self.ids, not self.byte_level, self.special, self.added)


def read(preset: Path) -> tokenizers.Tokenizer:
    """The tokenizer of a preset that author wrote; text never becomes a special token, and none is put before it."""
    return tokenizer_json.load(content_of(preset), str(preset / FILE))


def content_of(preset: Path) -> dict[str, Any]:
    """The tokenizer.json of a preset that author wrote."""
    return read_json(preset / FILE)


def pieces_of(preset: Path) -> list[bytes]:
    """The bytes that each token id of such a preset stands for."""
    content = content_of(preset)
    rules = tokenizer_rules.rules(content, str(preset / FILE))
    return token_bytes(tokenizer_json.ids_of(content), not rules.byte_level, rules.special, rules.added)


def vocabulary_of(content: Mapping[str, Any], start: int | None, ends: Sequence[int]) -> Vocabulary:
    """The BPE of a completed tokenizer.json as a graph does it.

    Raises:
      NoRule: where a graph cannot do exactly what `tokenizers` does.
    """
    rules, model = tokenizer_rules.rules(content, FILE), content["model"]
    reason = graph_support.no_rule(content, rules)
    if reason is not None:
        raise NoRuleError(reason)
    return Vocabulary(
        tokenizer_json.ids_of(content),
        [(a, b) for a, b in model["merges"]],
        start,
        ends[0],
        str(rules.words),
        tuple(ends[1:]),
        rules.special,
        rules.added,
        rules.late,
        rules.nfc,
        rules.prefix,
        model["unk_token"],
        model["fuse_unk"],
        model["byte_fallback"],
        tuple(_whole_words(content)),
    )


class NoRuleError(Exception):
    """A tokenizer that a graph cannot do exactly; says why."""


def _whole_words(content: Mapping[str, Any]) -> list[str]:
    """Tokens that a word is whatever its merges make of it: what bytes say, none of other signs."""
    if not content["model"]["ignore_merges"]:
        return []
    return [token for token in graph_support.not_merged(content) if all(sign in _TO_BYTE for sign in token)]


def read_vocabulary(folder: Path, start: int | None, end: int, words: str = GPT2) -> Vocabulary:
    """The vocabulary of a folder that holds vocabulary.json and merges.txt."""
    ids = json.loads((folder / "vocabulary.json").read_text())
    lines = (folder / "merges.txt").read_text().split("\n")
    pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    return Vocabulary({t: int(i) for t, i in ids.items()}, [(a, b) for a, b in pairs], start, end, words)


def byte_characters() -> dict[int, str]:
    """GPT-2's printable character for each byte (the table `bytes_to_unicode` of OpenAI's encoder.py)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}


def special(vocabulary: Iterable[str]) -> list[str]:
    """The tokens of a KerasHub vocabulary that stand for no text, by their names."""
    return [token for token in vocabulary if _SPECIAL.fullmatch(token)]


def token_bytes(
    vocabulary: Mapping[str, int],
    of_characters: bool = False,
    hidden: Collection[str] | None = None,
    added: Collection[str] = (),
) -> list[bytes]:
    """The bytes that each token id stands for; `hidden` tokens stand for none, `added` ones for what they say."""
    hidden = set(special(vocabulary)) if hidden is None else set(hidden)
    result = [b""] * (max(vocabulary.values()) + 1)
    one = _characters_bytes if of_characters else _byte_level_bytes
    for token, index in vocabulary.items():
        if token not in hidden:
            result[index] = token.encode() if token in added else one(token)
    return result


def _characters_bytes(token: str) -> bytes:
    if _BYTE.fullmatch(token):
        return bytes([int(token[3:5], 16)])
    return token.replace(pre_tokenizers.BLANK, " ").encode()


def _byte_level_bytes(token: str) -> bytes:
    # a token that was added to a vocabulary later is written as it is
    return b"".join(_TO_BYTE.get(c) or c.encode() for c in token)


_TO_BYTE = {c: bytes([b]) for b, c in byte_characters().items()}


def train(
    texts: Iterable[str], vocabulary_size: int, folder: Path, special: Sequence[str] = (PADDING, END_OF_TEXT)
) -> None:
    """Learns a vocabulary with GPT-2's pre-tokenization; writes vocabulary.json and merges.txt."""
    tokenizer = tokenizers.ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        texts, vocab_size=vocabulary_size, min_frequency=2, show_progress=False, special_tokens=list(special)
    )
    model = json.loads(tokenizer.to_str())["model"]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = dict(sorted(model["vocab"].items(), key=lambda item: item[1]))
    merges = "".join(f"{left} {right}\n" for left, right in model["merges"])
    (folder / "vocabulary.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + merges)


def content(folder: Path, words: str = GPT2) -> dict[str, Any]:
    """The tokenizer.json of the folder of a KerasHub tokenizer, which cuts texts as its model was trained."""
    if words == SENTENCEPIECE:
        path = folder / sentencepiece_model.FILE
        return tokenizer_json.completed(sentencepiece_model.content(path), "", str(path))
    known = read_vocabulary(folder, None, 0, words)
    hidden = sorted(special(known.ids), key=lambda token: known.ids[token])
    made = {
        "added_tokens": [{"id": known.ids[t], "content": t, "special": True} for t in hidden],
        "pre_tokenizer": pre_tokenizers.pre_tokenizer(words),
        "model": {"type": "BPE", "vocab": dict(known.ids), "merges": [list(pair) for pair in known.merges]},
    }
    return tokenizer_json.completed(made, "", str(folder))


def load(folder: Path, words: str = GPT2) -> tokenizers.Tokenizer:
    """The tokenizer of the folder of a KerasHub tokenizer; text never becomes a special token."""
    return tokenizer_json.load(content(folder, words), str(folder))
