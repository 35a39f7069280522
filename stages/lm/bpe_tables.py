"""Constant tables with which a graph of integer operations encodes text as GPT-2's byte-level BPE does."""

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Regex, normalizers

from stages.arrays import Array
from stages.lm.tokenizer import byte_characters

OTHER, LETTER, NUMBER, SPACE = 0, 1, 2, 3
# In GPT-2's pattern, of which every character that matches none of these is the rest.
_PATTERNS = {LETTER: r"\p{L}", NUMBER: r"\p{N}", SPACE: r"\s"}
_PAGE = 256
# Numbers tried as multipliers: the primes below the largest that keeps every product within int32.
_MULTIPLIERS = 24


@dataclass(frozen=True)
class CharacterClasses:
    """Classes of all code points: `pages[page_of[c // 256], c % 256]`, equal pages stored once."""

    page_of: Array
    pages: Array


@dataclass(frozen=True)
class Column:
    """Whole numbers in as few bytes each as hold them: `values` and, added to each, `offset`."""

    values: Array
    offset: int


def column(numbers: Array) -> Column:
    """A column of numbers, in uint8, int16 or int32, the types that every runtime gathers."""
    least, span = int(numbers.min(initial=0)), int(numbers.max(initial=0)) - int(numbers.min(initial=0))
    kind, offset = (np.uint8, least) if span < 2**8 else (np.int16, least + 2**15) if span < 2**16 else (np.int32, 0)
    return Column((numbers.astype(np.int64) - offset).astype(kind), offset)


@dataclass(frozen=True)
class MergeTable:
    """Merges by (left, right) in buckets: entries of bucket b begin at `starts[b]`; no bucket holds more than `width`.

    The bucket of a pair is (left · multiplier + right) mod `buckets`, which stays within int32.
    """

    multiplier: int
    buckets: int
    width: int
    starts: Column
    left: Column
    right: Column
    rank: Column
    merged: Column  # by rank


@functools.cache
def character_classes() -> CharacterClasses:
    """The class of each code point: letters, numbers, white space, others.

    By the Unicode of `tokenizers`, which learned the vocabulary and reads tokenizer.json: Python 3.11's is older, and
    takes the letters and digits that came since for others.
    """
    points = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    characters = (points < 0xD800) | (points >= 0xE000)  # less the surrogates
    text = points[characters].tobytes().decode("utf-32-le")
    classes = np.full(len(points), OTHER, np.uint8)
    for kind, pattern in _PATTERNS.items():
        rest = normalizers.Replace(Regex(pattern), "").normalize_str(text)
        taken = characters.copy()
        taken[np.frombuffer(rest.encode("utf-32-le"), np.uint32)] = False
        classes[taken] = kind
    pages, page_of = np.unique(classes.reshape(-1, _PAGE), axis=0, return_inverse=True)
    return CharacterClasses(page_of.reshape(-1).astype(np.uint8), pages.astype(np.uint8))


def byte_ids(vocabulary: dict[str, int]) -> Array:
    """The token id of each of the 256 bytes; raises ValueError where the vocabulary lacks one."""
    missing = [b for b, c in sorted(byte_characters().items()) if c not in vocabulary]
    if missing:
        raise ValueError(f"the vocabulary lacks a token for byte {missing[0]:#04x}: not a byte-level BPE")
    return np.array([vocabulary[c] for _, c in sorted(byte_characters().items())], np.int32)


def merge_table(vocabulary: dict[str, int], merges: Sequence[tuple[str, str]]) -> MergeTable:
    """The merges, in order of rank, as a bucketed table with the smallest width among the multipliers tried."""
    left = np.array([vocabulary[a] for a, _ in merges], np.int64)
    right = np.array([vocabulary[b] for _, b in merges], np.int64)
    merged = np.array([vocabulary[a + b] for a, b in merges], np.int64)
    size = max(vocabulary.values()) + 1
    buckets = 1 << max(1, (2 * len(merges)).bit_length())
    largest = (2**31 - 1 - size) // size
    candidates = [m for m in range(largest, max(largest - 2 * _MULTIPLIERS, 0), -1) if m % 2] or [1]
    loads = {m: np.bincount((left * m + right) % buckets, minlength=buckets).max(initial=1) for m in candidates}
    multiplier = min(candidates, key=lambda m: (loads[m], m))
    width = int(loads[multiplier])
    bucket = (left * multiplier + right) % buckets
    order = np.argsort(bucket, kind="stable")
    padding = np.full(width, -1)  # a search from the last bucket on stays inside, and finds nothing
    return MergeTable(
        multiplier=multiplier,
        buckets=buckets,
        width=width,
        starts=column(np.searchsorted(bucket[order], np.arange(buckets))),
        left=column(np.concatenate([left[order], padding])),
        right=column(np.concatenate([right[order], padding])),
        rank=column(np.concatenate([order, padding])),
        merged=column(merged),
    )
