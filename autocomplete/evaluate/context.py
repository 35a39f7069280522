"""How many words of a text the model's context window holds."""

import re
from collections.abc import Sequence

import numpy as np
import tokenizers

_MOST_WORDS = 400  # of a document: more than any window of this project's models holds


def words_that_fit(documents: Sequence[str], bpe: tokenizers.Tokenizer, window: int) -> dict[str, float]:
    """How many of a text's last words, runs of non-blanks as the Android demo app counts, fit into `window` tokens.

    At most that many in half of the documents, and in 95 % of them. Documents with too few words to fill the window do
    not count; where none is left, both are the window's size, as no word has less than a token.
    """
    counts = [n for d in documents if (n := _fitting(d, bpe, window)) is not None] or [window]
    return {f"context_words_p{p}": float(np.quantile(counts, p / 100, method="lower")) for p in (50, 95)}


def _fitting(document: str, bpe: tokenizers.Tokenizer, window: int) -> int | None:
    starts = [match.start() for match in re.finditer(r"\S+", document)][-_MOST_WORDS:]
    low, high = 0, len(starts)
    if high == 0 or len(bpe.encode(document[starts[0] :]).ids) <= window:
        return None
    while low < high - 1:  # `low` words fit, `high` do not
        middle = (low + high) // 2
        fits = len(bpe.encode(document[starts[-middle] :]).ids) <= window
        low, high = (middle, high) if fits else (low, middle)
    return low
