"""Tokenizers as those of transformers' models, learned from texts; without this project."""

import json
from collections.abc import Sequence
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SIZE = 512  # tokens learned

BLANK = "▁"
LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)
QWEN_PATTERN = LLAMA3_PATTERN.replace("{1,3}", "")

Texts = Sequence[str]


def byte_level(cut: pre_tokenizers.PreTokenizer, texts: Texts, whole: bool = True) -> Tokenizer:
    """A byte-level BPE that cuts texts by a pre-tokenizer; unless `whole`, bytes that no text has get no token."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = cut
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet() if whole else []
    bpe.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=SIZE, show_progress=False, initial_alphabet=alphabet))
    bpe.post_processor = processors.ByteLevel(trim_offsets=False)
    return bpe


def by_pattern(pattern: str) -> pre_tokenizers.PreTokenizer:
    """The pre-tokenizer of Llama 3 and Qwen."""
    split = pre_tokenizers.Split(Regex(pattern), "isolated", invert=False)
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def special(tokenizer: Tokenizer, names: Sequence[str]) -> Tokenizer:
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in names])
    return tokenizer


def starting(tokenizer: Tokenizer, start: str, before: Sequence[Any] = ()) -> Tokenizer:
    """Puts a token before every text, as TemplateProcessing, after other processors."""
    template = processors.TemplateProcessing(
        single=f"{start} $A", pair=f"{start} $A {start} $B:1", special_tokens=[(start, tokenizer.token_to_id(start))]
    )
    tokenizer.post_processor = processors.Sequence([*before, template]) if before else template
    return tokenizer


def gpt2(texts: Texts) -> Tokenizer:
    return special(byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), texts), ["<|endoftext|>"])


def llama3(texts: Texts) -> Tokenizer:
    """Llama 3's: a word that is a token is not merged."""
    content = json.loads(byte_level(by_pattern(LLAMA3_PATTERN), texts).to_str())
    content["model"]["ignore_merges"] = True
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = special(Tokenizer.from_str(json.dumps(content)), names)
    return starting(tokenizer, names[0], [processors.ByteLevel(trim_offsets=False)])


def smollm(texts: Texts) -> Tokenizer:
    """SmolLM's: digits are single, no token precedes a text, and bytes that its corpus lacks have no token."""
    digits = pre_tokenizers.Digits(individual_digits=True)
    cut = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer = byte_level(cut, [t for t in texts if t.isascii()] + ["naïve café"], whole=False)
    return special(tokenizer, ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>"])


def qwen(texts: Texts) -> Tokenizer:
    tokenizer = byte_level(by_pattern(QWEN_PATTERN), texts)
    tokenizer.normalizer = normalizers.NFC()
    return special(tokenizer, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])


def of_characters(texts: Texts, names: Sequence[str], prefix: bool) -> Tokenizer:
    """A BPE of characters with byte fallback, as one converted from SentencePiece: names, bytes, pieces.

    Pieces are learnt from words that begin at a blank.
    """
    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always" if prefix else "never")
    learnt.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=SIZE, limit_alphabet=150, show_progress=False))
    content = json.loads(learnt.to_str())["model"]
    order = [*names, *(f"<0x{b:02X}>" for b in range(256)), *sorted(content["vocab"], key=content["vocab"].get)]
    ids = {token: number for number, token in enumerate(order)}
    merges = [(a, b) for a, b in content["merges"]]
    bpe = Tokenizer(models.BPE(ids, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    strip = [decoders.Strip(" ", 1, 0)] if prefix else []
    bpe.decoder = decoders.Sequence([decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    return special(bpe, names)


def llama2(texts: Texts) -> Tokenizer:
    """Llama 2's as first converted: a normalizer writes the blanks."""
    tokenizer = of_characters(texts, ["<unk>", "<s>", "</s>"], prefix=True)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)])
    return starting(tokenizer, "<s>")


def metaspace(texts: Texts) -> Tokenizer:
    """Llama 2's as converted later: a pre-tokenizer writes the blanks, and a first one where the text has none."""
    tokenizer = of_characters(texts, ["<unk>", "<s>", "</s>"], prefix=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(BLANK, prepend_scheme="first", split=False)
    return starting(tokenizer, "<s>")


def gemma(texts: Texts) -> Tokenizer:
    """Gemma's: no blank before a text, and tokens that stand for themselves wherever a text has them."""
    tokenizer = of_characters(texts, ["<pad>", "<eos>", "<bos>", "<unk>"], prefix=False)
    tokenizer.normalizer = normalizers.Replace(" ", BLANK)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    added = ["\n\n", "\n\n\n", BLANK * 2, "<table>", "[multimodal]"]
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in added])
    return starting(tokenizer, "<bos>")
