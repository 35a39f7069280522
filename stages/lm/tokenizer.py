"""Byte-pair encoding, byte-level or by SentencePiece: vocabulary files, training, and tokens as bytes."""

import functools
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tokenizers
from tokenizers import Regex, decoders, models, pre_tokenizers

from stages.lm import sentencepieces

FOLDER = "assets/tokenizer"  # within a KerasHub preset
END_OF_TEXT = "<|endoftext|>"
# KerasHub's GPT-2 tokenizer pads with id 0, whatever stands there: the first token must be nobody's text.
PADDING = "<|padding|>"
# How a text is cut into words, within which bytes are merged.
GPT2, LLAMA3, QWEN, SENTENCEPIECE = "gpt2", "llama3", "qwen", "sentencepiece"
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)
_PATTERNS = {LLAMA3: _LLAMA3, QWEN: _LLAMA3.replace("{1,3}", "")}
_SPECIAL = re.compile(r"<\|.*\|>|</?s>|<pad>|<unk>|<mask>")  # tokens that are nobody's text, by their names


@dataclass(frozen=True)
class Vocabulary:
    """A byte-level BPE: token → id, merges in order of rank, ids with a meaning of their own, its pattern of words."""

    ids: dict[str, int]
    merges: Sequence[tuple[str, str]]
    start: int | None
    end: int
    words: str = GPT2

    @functools.cached_property
    def pieces(self) -> list[bytes]:
        """The bytes that each token id stands for."""
        return token_bytes(self.ids, self.words)


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
    """The tokens of a vocabulary that stand for no text."""
    return [token for token in vocabulary if _SPECIAL.fullmatch(token)]


def token_bytes(vocabulary: dict[str, int], words: str = GPT2) -> list[bytes]:
    """The bytes that each token id stands for; special tokens stand for none."""
    if words == SENTENCEPIECE:
        return sentencepieces.piece_bytes(vocabulary)
    to_byte = {c: bytes([b]) for b, c in byte_characters().items()}
    result = [b""] * (max(vocabulary.values()) + 1)
    hidden = set(special(vocabulary))
    for token, index in vocabulary.items():
        if token not in hidden:
            # a token that was added to a vocabulary later is written as it is
            result[index] = b"".join(to_byte.get(c) or c.encode() for c in token)
    return result


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


def load(folder: Path, words: str = GPT2) -> tokenizers.Tokenizer:
    """The tokenizer of a preset's folder; text never becomes a special token."""
    if words == SENTENCEPIECE:
        return sentencepieces.load(folder / sentencepieces.FILE)
    files = (str(folder / "vocabulary.json"), str(folder / "merges.txt"))
    if words == GPT2:
        tokenizer: tokenizers.Tokenizer = tokenizers.ByteLevelBPETokenizer(*files)._tokenizer
        return tokenizer
    tokenizer = tokenizers.Tokenizer(models.BPE.from_file(*files))
    cut = pre_tokenizers.Split(Regex(_PATTERNS[words]), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
