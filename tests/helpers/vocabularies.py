"""Published vocabularies."""

import gzip
import json

from autocomplete.tokenizer import tokenizer
from helpers.folders import ROOT

GPT2 = ROOT / "tests/published/gpt2_bpe"


def gpt2_file(name: str) -> bytes:
    """One of the two files that OpenAI published with GPT-2: encoder.json, vocab.bpe."""
    return gzip.decompress((GPT2 / f"{name}.gz").read_bytes())


def gpt2_vocabulary() -> tokenizer.Vocabulary:
    """GPT-2's published vocabulary."""
    ids = json.loads(gpt2_file("encoder.json"))
    lines = gpt2_file("vocab.bpe").decode().split("\n")[1:]
    end = ids[tokenizer.END_OF_TEXT]
    return tokenizer.Vocabulary(ids, [(a, b) for a, b in (line.split(" ") for line in lines if line)], end, end)
