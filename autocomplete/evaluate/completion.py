"""What people feel of autocomplete: how often the next words are right, and the keystrokes that this saves."""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError

WORDS = 3
_LEAST_BEFORE = 3  # words typed before the first suggestion
_WORD = re.compile(r"\s*\S+")


@dataclass(frozen=True)
class Cut:
    """A text parted behind a word: what was typed, and the author's next words with the blanks before them."""

    document: int
    typed: str
    words: list[str]


def cuts(documents: Sequence[str], most: int, each: int) -> list[Cut]:
    """Up to `each` places, evenly spread, in each of the first `most` documents that are long enough."""
    found: list[Cut] = []
    taken = 0
    for document in documents:
        words = _WORD.findall(document)
        places = sorted({int(p) for p in np.linspace(_LEAST_BEFORE, len(words) - WORDS, each + 2)[1:-1]})
        if len(words) < _LEAST_BEFORE + each + WORDS:
            continue
        found += [Cut(taken, "".join(words[:p]), words[p : p + WORDS]) for p in places]
        taken += 1
        if taken == most:
            break
    if not found:
        raise UserError(f"the evaluation text has no document of {_LEAST_BEFORE + each + WORDS} words")
    return found


def measure(suggest: Callable[[str], str], places: Sequence[Cut]) -> dict[str, float]:
    """`accepted_words_<n>`, `keystrokes_saved` and their standard errors.

    Args:
      suggest: what was typed → the model's continuation; a word counts if a blank follows, as the last may be cut.
      places: where to ask.

    `accepted_words_<n>` is the share of places where the first n words are the author's. `keystrokes_saved`: someone
    who types the author's next WORDS words takes as many as are right with one key. Of all those keystrokes, the
    share that is not needed.
    """
    right = np.array([_right(suggest(p.typed), p.words) for p in places])
    lengths = np.array([np.cumsum([0, *map(len, p.words)]) for p in places], float)
    saved = np.maximum(lengths[np.arange(len(places)), right] - 1, 0)
    ones, documents = np.ones(len(places)), np.array([p.document for p in places])
    measured: dict[str, float] = {}
    for name, part, whole in [
        *((f"accepted_words_{n}", (right >= n).astype(float), ones) for n in range(1, WORDS + 1)),
        ("keystrokes_saved", saved, lengths[:, -1]),
    ]:
        measured[name], measured[f"{name}_stderr"] = _share(part, whole, documents)
    return measured


def _right(suggestion: str, words: Sequence[str]) -> int:
    """How many of the author's words come first in a suggestion."""
    finished = re.findall(r"\S+(?=\s)", suggestion)
    same = (a == b.strip() for a, b in zip(finished, words, strict=False))
    return sum(itertools.takewhile(bool, same))


def _share(part: Array, whole: Array, documents: Array) -> tuple[float, float]:
    """Σ part / Σ whole, and its standard error from sums over documents, whose places depend on each other.

    The error of a ratio by linearization (Cochran, Sampling Techniques, 3rd ed., section 6.4).
    """
    parts, wholes = (np.bincount(documents, weights=v) for v in (part, whole))
    share = float(parts.sum() / wholes.sum())
    if len(parts) == 1:
        return share, float("nan")
    spread = np.std(parts - share * wholes, ddof=1) / np.sqrt(len(parts)) / wholes.mean()
    return share, float(spread)
