"""The tokenizer of a preset: reads it, trains one, and gives the bytes of each token."""

import functools
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers

from autocomplete.common.files import read_json
from autocomplete.common.json_files import JsonObject
from autocomplete.tokenizer import graph_support, pre_tokenizers, sentencepiece_model, tokenizer_json, tokenizer_rules
from autocomplete.tokenizer.pre_tokenizers import DIGITS, GPT2, LLAMA3, QWEN, SENTENCEPIECE

FOLDER = "assets/tokenizer"  # in a KerasHub preset
FILE = f"{FOLDER}/tokenizer.json"  # the model's own: author writes it, and every later stage reads it
END_OF_TEXT = "<|endoftext|>"
# KerasHub's GPT-2 tokenizer pads with id 0, whichever token has it: the first token must be one that no text contains.
PADDING = "<|padding|>"
BYTE_LEVEL_PATTERNS = (GPT2, DIGITS, LLAMA3, QWEN)
# KerasHub's presets do not list their special tokens; these are their names.
_SPECIAL_NAME = re.compile(r"<\|.*\|>|</?s>|<pad>|<unk>|<mask>|<bos>|<eos>")
_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")


@dataclass(frozen=True)
class Vocabulary:
    """A BPE, and what happens to a text before its merges apply.

    Attributes:
      ids: the id of each token.
      merges: the pairs of tokens to merge, in order of rank.
      start_token_id: the id that stands before a text; None if there is none.
      end_token_id: the id that ends a text and separates documents.
      pattern: the name of the pre-tokenizer's pattern (pre_tokenizers.py).
      other_end_token_ids: further ids that end a text.
      special_tokens: tokens that no text becomes; None: they are recognized by their names.
      added_tokens: tokens that match wherever a text contains them.
      match_normalized: whether added tokens are matched in the normalized text.
      nfc: whether the text is normalized to Unicode's form NFC.
      space_prefix: when "▁" is put before a text: "always", "missing" (unless the text begins with one) or "never".
      unk_token: what replaces a character without a token; None: such characters are dropped.
      fuse_unk: whether one `unk_token` replaces a whole run of such characters.
      byte_fallback: whether a character without a token is written as tokens of its bytes.
      whole_words: tokens that their merges do not produce; a word that equals one becomes that token all the same.
    """

    ids: Mapping[str, int]
    merges: Sequence[tuple[str, str]]
    start_token_id: int | None
    end_token_id: int
    pattern: str = GPT2
    other_end_token_ids: tuple[int, ...] = ()
    special_tokens: Collection[str] | None = None
    added_tokens: tuple[str, ...] = ()
    match_normalized: bool = False
    nfc: bool = False
    space_prefix: str = "never"
    unk_token: str | None = None
    fuse_unk: bool = False
    byte_fallback: bool = False
    whole_words: tuple[str, ...] = ()

    @property
    def end_token_ids(self) -> tuple[int, ...]:
        """All ids that end a text."""
        return (self.end_token_id, *self.other_end_token_ids)

    @property
    def byte_level(self) -> bool:
        """Whether merges join bytes; otherwise they join characters."""
        return self.pattern in BYTE_LEVEL_PATTERNS

    @property
    def unk_token_id(self) -> int:
        """The id of `unk_token`; -1 if there is none."""
        return -1 if self.unk_token is None else self.ids[self.unk_token]

    @functools.cached_property
    def token_bytes(self) -> list[bytes]:
        """The bytes of each token id."""
        return token_bytes(self.ids, not self.byte_level, self.special_tokens, self.added_tokens)


class UnsupportedTokenizerError(Exception):
    """A tokenizer that the graph cannot reproduce exactly; the message says why."""


def from_preset(preset: Path) -> tokenizers.Tokenizer:
    """The tokenizer of a preset that author wrote. It adds no start token, and no text becomes a special token."""
    return tokenizer_json.load(read_tokenizer_json(preset), str(preset / FILE))


def read_tokenizer_json(preset: Path) -> JsonObject:
    """The tokenizer.json of a preset that author wrote."""
    return read_json(preset / FILE)


def read_token_bytes(preset: Path) -> list[bytes]:
    """The bytes of each token id of a preset that author wrote."""
    content = read_tokenizer_json(preset)
    rules = tokenizer_rules.read_rules(content, str(preset / FILE))
    ids = tokenizer_json.token_ids(content)
    return token_bytes(ids, not rules.byte_level, rules.special_tokens, rules.added_tokens)


def parse_vocabulary(
    content: Mapping[str, Any], start_token_id: int | None, end_token_ids: Sequence[int]
) -> Vocabulary:
    """The vocabulary of a complete tokenizer.json, for the graph.

    Raises:
      UnsupportedTokenizerError: if the graph cannot do exactly what `tokenizers` does.
    """
    rules, model = tokenizer_rules.read_rules(content, FILE), content["model"]
    reason = graph_support.unsupported_reason(content, rules)
    if reason is not None:
        raise UnsupportedTokenizerError(reason)
    return Vocabulary(
        ids=tokenizer_json.token_ids(content),
        merges=[(left, right) for left, right in model["merges"]],
        start_token_id=start_token_id,
        end_token_id=end_token_ids[0],
        pattern=str(rules.pattern),
        other_end_token_ids=tuple(end_token_ids[1:]),
        special_tokens=rules.special_tokens,
        added_tokens=rules.added_tokens,
        match_normalized=rules.match_normalized,
        nfc=rules.nfc,
        space_prefix=rules.space_prefix,
        unk_token=model["unk_token"],
        fuse_unk=model["fuse_unk"],
        byte_fallback=model["byte_fallback"],
        whole_words=tuple(_whole_words(content)),
    )


def _whole_words(content: Mapping[str, Any]) -> list[str]:
    """Tokens that `ignore_merges` makes of a word although their merges do not, if all their characters mean bytes."""
    if not content["model"]["ignore_merges"]:
        return []
    unmerged = graph_support.unmerged_tokens(content)
    return [token for token in unmerged if all(character in _UNICODE_TO_BYTE for character in token)]


def read_vocabulary(folder: Path, start_token_id: int | None, end_token_id: int, pattern: str = GPT2) -> Vocabulary:
    """The vocabulary of a folder that holds vocabulary.json and merges.txt."""
    ids = json.loads((folder / "vocabulary.json").read_text())
    lines = (folder / "merges.txt").read_text().split("\n")
    pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    merges = [(left, right) for left, right in pairs]
    return Vocabulary({token: int(i) for token, i in ids.items()}, merges, start_token_id, end_token_id, pattern)


def bytes_to_unicode() -> dict[int, str]:
    """GPT-2's printable character of each byte (`bytes_to_unicode` of OpenAI's encoder.py)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}


def special_tokens_by_name(vocabulary: Iterable[str]) -> list[str]:
    """The special tokens of a KerasHub vocabulary, recognized by their names."""
    return [token for token in vocabulary if _SPECIAL_NAME.fullmatch(token)]


def token_bytes(
    ids: Mapping[str, int],
    of_characters: bool = False,
    special_tokens: Collection[str] | None = None,
    added_tokens: Collection[str] = (),
) -> list[bytes]:
    """The bytes of each token id.

    Args:
      ids: the id of each token.
      of_characters: whether it is a BPE of characters; otherwise one of bytes.
      special_tokens: tokens without bytes; None: they are recognized by their names.
      added_tokens: tokens whose bytes are those of their names.
    """
    special = set(special_tokens_by_name(ids)) if special_tokens is None else set(special_tokens)
    added = set(added_tokens)
    result = [b""] * (max(ids.values()) + 1)
    decode = _character_token_bytes if of_characters else _byte_level_token_bytes
    for token, token_id in ids.items():
        if token not in special:
            result[token_id] = token.encode() if token in added else decode(token)
    return result


def _character_token_bytes(token: str) -> bytes:
    if _BYTE_TOKEN.fullmatch(token):
        return bytes([int(token[3:5], 16)])
    return token.replace(pre_tokenizers.SPACE_MARKER, " ").encode()


def _byte_level_token_bytes(token: str) -> bytes:
    # a token that was added to a vocabulary later is written in plain text
    return b"".join(_UNICODE_TO_BYTE.get(character) or character.encode() for character in token)


_UNICODE_TO_BYTE = {character: bytes([byte]) for byte, character in bytes_to_unicode().items()}


def train(
    texts: Iterable[str], vocabulary_size: int, folder: Path, special: Sequence[str] = (PADDING, END_OF_TEXT)
) -> None:
    """Trains a byte-level BPE with GPT-2's pre-tokenizer; writes vocabulary.json and merges.txt to `folder`."""
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


def keras_tokenizer_json(folder: Path, pattern: str = GPT2) -> JsonObject:
    """The tokenizer.json for the files of a KerasHub tokenizer.

    Args:
      folder: the folder with vocabulary.json and merges.txt, or with a SentencePiece model.
      pattern: the pattern of the pre-tokenizer with which the model was trained.
    """
    if pattern == SENTENCEPIECE:
        path = folder / sentencepiece_model.FILE
        return tokenizer_json.complete(sentencepiece_model.to_tokenizer_json(path), "", str(path))
    vocabulary = read_vocabulary(folder, None, 0, pattern)
    ids = vocabulary.ids
    special = sorted(special_tokens_by_name(ids), key=lambda token: ids[token])
    content = {
        "added_tokens": [{"id": ids[token], "content": token, "special": True} for token in special],
        "pre_tokenizer": pre_tokenizers.pre_tokenizer(pattern),
        "model": {"type": "BPE", "vocab": dict(ids), "merges": [list(pair) for pair in vocabulary.merges]},
    }
    return tokenizer_json.complete(content, "", str(folder))


def from_keras_folder(folder: Path, pattern: str = GPT2) -> tokenizers.Tokenizer:
    """The tokenizer of a folder of a KerasHub tokenizer; no text becomes a special token."""
    return tokenizer_json.load(keras_tokenizer_json(folder, pattern), str(folder))
