"""Byte-level byte-pair encoding as GPT-2 defined it: vocabulary files, training, and tokens as bytes."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tokenizers

FOLDER = "assets/tokenizer"  # within a KerasHub preset
END_OF_TEXT = "<|endoftext|>"
# KerasHub's GPT-2 tokenizer pads with id 0, whatever stands there: the first token must be nobody's text.
PADDING = "<|padding|>"


@dataclass(frozen=True)
class Vocabulary:
    """A byte-level BPE: token → id, merges in order of rank, and the ids with a meaning of their own."""

    ids: dict[str, int]
    merges: Sequence[tuple[str, str]]
    start: int | None
    end: int


def read_vocabulary(folder: Path, start: int | None, end: int) -> Vocabulary:
    """The vocabulary of a folder that holds vocabulary.json and merges.txt."""
    ids = json.loads((folder / "vocabulary.json").read_text())
    lines = (folder / "merges.txt").read_text().split("\n")
    pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    return Vocabulary({t: int(i) for t, i in ids.items()}, [(a, b) for a, b in pairs], start, end)


def byte_characters() -> dict[int, str]:
    """GPT-2's printable character for each byte (the table `bytes_to_unicode` of OpenAI's encoder.py)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}


def token_bytes(vocabulary: dict[str, int], special: Iterable[str] = (END_OF_TEXT, PADDING)) -> list[bytes]:
    """The bytes that each token id stands for; special tokens stand for none."""
    to_byte = {c: b for b, c in byte_characters().items()}
    result = [b""] * (max(vocabulary.values()) + 1)
    hidden = set(special)
    for token, index in vocabulary.items():
        if token not in hidden:
            result[index] = bytes(to_byte[c] for c in token)
    return result


def train(texts: Iterable[str], vocabulary_size: int, folder: Path) -> None:
    """Learns a vocabulary with GPT-2's pre-tokenization; writes vocabulary.json and merges.txt."""
    tokenizer = tokenizers.ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        texts, vocab_size=vocabulary_size, min_frequency=2, show_progress=False, special_tokens=[PADDING, END_OF_TEXT]
    )
    model = json.loads(tokenizer.to_str())["model"]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = dict(sorted(model["vocab"].items(), key=lambda item: item[1]))
    merges = "".join(f"{left} {right}\n" for left, right in model["merges"])
    (folder / "vocabulary.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + merges)


def load(folder: Path) -> tokenizers.Tokenizer:
    """The tokenizer of a folder that holds vocabulary.json and merges.txt; text never becomes a special token."""
    files = (str(folder / "vocabulary.json"), str(folder / "merges.txt"))
    tokenizer: tokenizers.Tokenizer = tokenizers.ByteLevelBPETokenizer(*files)._tokenizer
    return tokenizer
