"""Published vocabularies."""

import json
from pathlib import Path
from typing import Any

import pytest


def gpt2_vocabulary() -> Any:
    """GPT-2's published vocabulary, which lies beside the project and is no part of it."""
    from autocomplete.tokenizer import tokenizer

    found = [p / "shared/data/gpt2_bpe" for p in Path(__file__).parents if (p / "shared/data/gpt2_bpe").is_dir()]
    if not found:
        pytest.skip("shared/data/gpt2_bpe is absent: GPT-2's published vocabulary is not part of the project")
    ids = json.loads((found[0] / "encoder.json").read_text())
    lines = (found[0] / "vocab.bpe").read_text().split("\n")[1:]
    end = ids[tokenizer.END_OF_TEXT]
    return tokenizer.Vocabulary(ids, [(a, b) for a, b in (line.split(" ") for line in lines if line)], end, end)
