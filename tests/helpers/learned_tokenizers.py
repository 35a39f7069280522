"""Tokenizers of every kind that a tokenizer.json can describe, trained on the toy's text."""

import functools
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import sentencepiece
import tokenizers
from tokenizers import models, trainers

from autocomplete.tokenizer import pre_tokenizers, sentencepiece_model, tokenizer, tokenizer_json
from helpers import odd_texts
from helpers.folders import kept
from helpers.toys import TEXT

SIZE, COUNT, SPLICED = odd_texts.LONGEST, 1500, 250
BLANK = pre_tokenizers.SPACE_MARKER

UNKNOWN, END = "<unk>", "<|endoftext|>"
BYTES = [tokenizer_json.byte_token(b) for b in range(256)]
CHARACTERS = tokenizer.bytes_to_unicode()
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}
PREFIX = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": BLANK}, REPLACE]}
GEMMA = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
NFC = {"type": "NFC"}

Content = dict[str, Any]


@functools.cache
def training() -> list[str]:
    lines = [text[i : i + 300] for text in TEXT[:3] for i in range(0, len(text), 300)]
    return [*lines, *odd_texts.strings(TEXT)[::7]]


def learned(trainer: trainers.BpeTrainer, cut: tokenizers.pre_tokenizers.PreTokenizer) -> str:
    bpe = tokenizers.Tokenizer(models.BPE())
    bpe.pre_tokenizer = cut
    bpe.train_from_iterator(training(), trainer)
    return json.dumps(json.loads(bpe.to_str())["model"])


@functools.cache
def bytes_model() -> str:
    """A byte-level BPE that merges across words too: a different word boundary gives different tokens."""
    trainer = trainers.BpeTrainer(
        vocab_size=1600, initial_alphabet=list(CHARACTERS.values()), limit_alphabet=256, show_progress=False
    )
    return learned(trainer, tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))


@functools.cache
def characters_model(fallback: bool, split: bool) -> str:
    """A BPE of characters that lacks most of them; unless `split`, it merges across "▁" too."""
    names = [UNKNOWN, *(BYTES if fallback else [])]
    size = len(names) + 800
    trainer = trainers.BpeTrainer(vocab_size=size, limit_alphabet=200, special_tokens=names, show_progress=False)
    return learned(trainer, metaspace("never", split))


def metaspace(prefix: str, split: bool) -> tokenizers.pre_tokenizers.Metaspace:
    return tokenizers.pre_tokenizers.Metaspace(prepend_scheme=prefix, split=split)


def completed(model: Content, added: Sequence[Content] = (), **parts: Any) -> Content:
    """A tokenizer.json with added tokens; new ones get the ids after the vocabulary."""
    ids = dict(model["vocab"])
    for one in added:
        ids.setdefault(one["content"], max(ids.values()) + 1)
    tokens = [{"id": ids[one["content"]]} | one for one in added]
    content = {"pre_tokenizer": None, "added_tokens": tokens, "model": model} | parts
    return tokenizer_json.complete(content, "", "toy")


def own(*names: str, **flags: Any) -> list[Content]:
    return [{"content": name} | flags for name in names]


def of_bytes(words: str, added: Sequence[Content] = (), normalizer: Content | None = None, **model: Any) -> Content:
    content = json.loads(bytes_model()) | model
    tokens = [*own(END, special=True), *added]
    return completed(content, tokens, normalizer=normalizer, pre_tokenizer=pre_tokenizers.pre_tokenizer(words))


def whole_words() -> Content:
    """With words that are tokens although their merges give other tokens, or no merges produce them."""
    model = json.loads(bytes_model())
    merges = [pair for i, pair in enumerate(model["merges"]) if i % 5]
    return of_bytes(pre_tokenizers.LLAMA3, own("<x>", " the", "in"), ignore_merges=True, merges=merges)


def lacking(unknown: str | None, fuse: bool) -> Content:
    """A byte-level BPE without some bytes."""
    model = json.loads(bytes_model())
    absent = {CHARACTERS[b] for b in b"\x00qxZ~\x80\xa4\xc3\xe6\xf1"}
    vocabulary = [*(token for token in model["vocab"] if not absent & set(token)), UNKNOWN]
    merges = [pair for pair in model["merges"] if not absent & set("".join(pair))]
    ids = {token: i for i, token in enumerate(vocabulary)}
    return of_bytes(pre_tokenizers.GPT2, vocab=ids, merges=merges, unk_token=unknown, fuse_unk=fuse)


def of_characters(
    added: Sequence[Content] = (),
    *,
    fallback: bool = True,
    split: bool = True,
    unknown: str | None = UNKNOWN,
    fuse: bool = True,
    cut: tokenizers.pre_tokenizers.Metaspace | None = None,
    model: Content | None = None,
    **parts: Any,
) -> Content:
    flags = {"byte_fallback": fallback, "unk_token": unknown, "fuse_unk": fuse}
    parts |= {} if cut is None else {"pre_tokenizer": json.loads(cut.__getstate__())}
    tokens = [*own("<|begin|>", "<|end|>", special=True), *added]
    return completed((model or json.loads(characters_model(fallback, split))) | flags, tokens, **parts)


def blanks_model() -> Content:
    """A BPE of characters with merges of blanks."""
    model: Content = json.loads(characters_model(True, True))
    size = len(model["vocab"])
    model["vocab"] |= {"▁▁": size, "▁▁▁▁": size + 1}
    model["merges"] = [["▁", "▁"], ["▁▁", "▁▁"], *model["merges"]]
    return model


def gemma() -> Content:
    """With tokens of blanks, line ends and marks of HTML."""
    tokens = own("\n\n", "\n\n\n", "▁▁▁", "<table>", "</table>", "<tab", "\t\t", "ab", "bcd")
    tokens += [*own("<start_of_turn>", special=True), *own("▁▁")]
    return of_characters(tokens, model=blanks_model(), normalizer=REPLACE, pre_tokenizer=GEMMA)


def of_sentencepiece() -> Content:
    """SentencePiece's own merges: each pair that builds a piece. A merged token can have merges of lower rank."""
    proto = io.BytesIO()
    texts = [*training()[-150:], *TEXT]
    lines = [line for text in texts for line in text.splitlines() if line.strip() and "\0" not in line]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=proto,
        vocab_size=1700,
        minloglevel=2,
        byte_fallback=True,
        model_type="BPE",
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        character_coverage=0.98,
        user_defined_symbols=["\n\n", "<turn>"],
        num_threads=1,
    )
    path = kept("sentencepiece") / sentencepiece_model.FILE
    path.write_bytes(proto.getvalue())
    return tokenizer_json.complete(sentencepiece_model.to_tokenizer_json(path), "", str(path))


BLANKS = own(*(" " * size for size in range(24, 1, -1)), normalized=True)
QWEN_TOKENS = own("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim|>")
WITHOUT: dict[str, Any] = {"fallback": False, "normalizer": PREFIX}
KINDS: dict[str, Callable[[], Content]] = {
    "gpt2": lambda: of_bytes(pre_tokenizers.GPT2),
    "digits": lambda: of_bytes(pre_tokenizers.DIGITS),
    "llama3": lambda: of_bytes(pre_tokenizers.LLAMA3, ignore_merges=True),
    "llama3_whole": whole_words,
    "qwen": lambda: of_bytes(pre_tokenizers.QWEN, QWEN_TOKENS, NFC),
    "neox": lambda: of_bytes(pre_tokenizers.GPT2, BLANKS, NFC),
    "lacking_dropped": lambda: lacking(None, False),
    "lacking_unknown": lambda: lacking(UNKNOWN, False),
    "lacking_fused": lambda: lacking(UNKNOWN, True),
    "llama2": lambda: of_characters(model=blanks_model(), normalizer=PREFIX),
    "metaspace_first": lambda: of_characters(model=blanks_model(), cut=metaspace("first", True)),
    "metaspace_always_whole": lambda: of_characters(cut=metaspace("always", False), split=False),
    "metaspace_never": lambda: of_characters(cut=metaspace("never", True)),
    "gemma": gemma,
    "sentencepiece": of_sentencepiece,
    "characters_dropped": lambda: of_characters(unknown=None, **WITHOUT),
    "characters_unknown": lambda: of_characters(fuse=False, **WITHOUT),
    "characters_fused": lambda: of_characters(fallback=False, cut=metaspace("first", True)),
}
