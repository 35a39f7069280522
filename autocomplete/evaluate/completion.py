"""What people feel of autocomplete: how often the next words are right, and the keystrokes that this saves.

Also how many words of a text the context window holds.
"""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tokenizers

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.evaluate.mode_files import ModeFiles
from autocomplete.runtime import tokens_model

WORDS = 3  # that a suggestion has
_MIN_TYPED_WORDS = 3  # before the first suggestion
# Of a suggestion: room for WORDS words of usual length. Words that need more tokens count as wrong.
_SUGGESTION_TOKENS = 16
_FIRST_TOKENS = 8  # of a suggestion, which are mostly enough
_FINISHED_WORD = re.compile(r"\S+(?=\s)")
_MAX_COUNTED_WORDS = 400  # of a document: more than the window of any model of this project holds
_WORD = re.compile(r"\s*\S+")


@dataclass(frozen=True)
class Cut:
    """A text cut behind a word: what was typed, and the author's next words with the blanks before them."""

    document: int
    typed: str
    words: list[str]


def cuts(documents: Sequence[str], max_documents: int, cuts_per_document: int) -> list[Cut]:
    """Evenly spread cuts in each of the first documents that are long enough.

    Raises:
      UserError: if no document is long enough.
    """
    spread: list[Cut] = []
    used_documents = 0
    min_words = _MIN_TYPED_WORDS + cuts_per_document + WORDS
    for document in documents:
        words = _WORD.findall(document)
        if len(words) < min_words:
            continue
        places = np.linspace(_MIN_TYPED_WORDS, len(words) - WORDS, cuts_per_document + 2)[1:-1]
        for place in sorted({int(p) for p in places}):
            spread.append(Cut(used_documents, "".join(words[:place]), words[place : place + WORDS]))
        used_documents += 1
        if used_documents == max_documents:
            break
    if not spread:
        raise UserError(f"the evaluation text has no document of {min_words} words")
    return spread


def right_words_of(mode: ModeFiles, places: Sequence[Cut]) -> list[int]:
    """How many of the author's words the shipped tokens model suggests at each place, greedily.

    Most suggestions have their WORDS words after a few tokens: it asks for more only where they have not.
    """
    max_length, end_ids = mode.conversion.sequence_length, mode.model.end_token_ids

    def suggest(typed: str) -> str:
        ids, text = mode.prompt_ids(typed), ""
        for tokens in (_FIRST_TOKENS, _SUGGESTION_TOKENS):
            answer = mode.generate(ids, min(len(ids) + tokens, max_length), tokens_model.Sampling())
            new_ids = answer[len(ids) :]
            text = mode.text_of(new_ids).decode()
            if new_ids and new_ids[-1] in end_ids:
                return text + "\n"  # the end ends the last word too
            if len(_FINISHED_WORD.findall(text)) >= WORDS or len(answer) == max_length:
                break
        return text

    return [_right_words(suggest(p.typed), p.words) for p in places]


def measure(suggest: Callable[[str], str], places: Sequence[Cut]) -> dict[str, float]:
    """The metrics of `metrics` for any model.

    Args:
      suggest: what was typed → the model's continuation. A word counts if a blank follows, as the last may be cut.
      places: where to ask.
    """
    return metrics([_right_words(suggest(p.typed), p.words) for p in places], places)


def metrics(right_words: Sequence[int], places: Sequence[Cut]) -> dict[str, float]:
    """The metrics `accepted_words_<n>` and `keystrokes_saved`, and their standard errors.

    `accepted_words_<n>` is the share of places where the first n words are the author's. `keystrokes_saved` is about
    someone who types the author's next WORDS words and takes as many as are right with one key: the share of all these
    keystrokes that is not needed.

    Args:
      right_words: how many of the author's words a suggestion begins with, at each place.
      places: where the model was asked.
    """
    counts = np.array(right_words)
    lengths = np.array([np.cumsum([0, *map(len, p.words)]) for p in places], float)
    saved = np.maximum(lengths[np.arange(len(places)), counts] - 1, 0)
    ones, documents = np.ones(len(places)), np.array([p.document for p in places])
    values: dict[str, float] = {}
    for metric, part, whole in [
        *((f"accepted_words_{n}", (counts >= n).astype(float), ones) for n in range(1, WORDS + 1)),
        ("keystrokes_saved", saved, lengths[:, -1]),
    ]:
        values[metric], values[f"{metric}_stderr"] = _share(part, whole, documents)
    return values


def _right_words(suggestion: str, words: Sequence[str]) -> int:
    """How many of the author's words come first in a suggestion."""
    finished = _FINISHED_WORD.findall(suggestion)
    equal = (a == b.strip() for a, b in zip(finished, words, strict=False))
    return sum(itertools.takewhile(bool, equal))


def _share(part: Array, whole: Array, documents: Array) -> tuple[float, float]:
    """Σ part / Σ whole, and its standard error from sums over documents, whose places depend on each other.

    The error of a ratio by linearization (Cochran, Sampling Techniques, 3rd ed., section 6.4).
    """
    parts, wholes = (np.bincount(documents, weights=v) for v in (part, whole))
    share = float(parts.sum() / wholes.sum())
    if len(parts) == 1:
        return share, float("nan")
    error = np.std(parts - share * wholes, ddof=1) / np.sqrt(len(parts)) / wholes.mean()
    return share, float(error)


def context_words(documents: Sequence[str], bpe: tokenizers.Tokenizer, window: int) -> dict[str, float]:
    """How many of a text's last words, runs of non-blanks as the Android demo app counts, fit into `window` tokens.

    `context_words_p50` is the number that at most fits in half of the documents, `context_words_p95` that in 95 % of
    them. Documents with too few words to fill the window do not count. Where none is left, both are the window's size,
    as no word has less than a token.
    """
    counts = [n for d in documents if (n := _fitting_words(d, bpe, window)) is not None] or [window]
    return {f"context_words_p{p}": float(np.quantile(counts, p / 100, method="lower")) for p in (50, 95)}


def _fitting_words(document: str, bpe: tokenizers.Tokenizer, window: int) -> int | None:
    """How many of a document's last words fit, by bisection; None where all of them do."""
    starts = [match.start() for match in re.finditer(r"\S+", document)][-_MAX_COUNTED_WORDS:]
    low, high = 0, len(starts)
    if high == 0 or len(bpe.encode(document[starts[0] :]).ids) <= window:
        return None
    while low < high - 1:  # `low` words fit, `high` do not
        middle = (low + high) // 2
        fits = len(bpe.encode(document[starts[-middle] :]).ids) <= window
        low, high = (middle, high) if fits else (low, middle)
    return low
