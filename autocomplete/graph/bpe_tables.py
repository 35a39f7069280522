"""Constant tables with which a graph of integer operations encodes text as a BPE does."""

import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tokenizers import Regex, normalizers, pre_tokenizers

from autocomplete.common.arrays import Array
from autocomplete.tokenizer import tokenizer_json
from autocomplete.tokenizer.pre_tokenizers import DIGITS, SPACE_MARKER
from autocomplete.tokenizer.tokenizer import Vocabulary, bytes_to_unicode

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
    one_by_one: Column | None = None  # by rank: 1 where only the first place of a word may be merged before others are


@functools.cache
def character_classes(words: str = "") -> CharacterClasses:
    """The class of each code point: letters, numbers, white space, others; for a pattern that has its own, its.

    By the Unicode of `tokenizers`, which learned the vocabulary and reads tokenizer.json: Python 3.11's is older, and
    takes the letters and digits that came since for others. Its pre-tokenizer Digits knows a newer Unicode than its
    regular expressions.
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
    if words == DIGITS:
        apart = pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str("a" + "a".join(text) + "a")
        classes[[ord(part) for part, _ in apart if len(part) == 1 and part != "a"]] = NUMBER
    pages, page_of = _paged(classes)
    return CharacterClasses(page_of.astype(np.uint8), pages.astype(np.uint8))


def _paged(values: Array) -> tuple[Array, Array]:
    """A table over all code points in pages, equal ones stored once; and the page of each 256 code points."""
    pages, page_of = np.unique(values.reshape(-1, _PAGE), axis=0, return_inverse=True)
    return pages, page_of.reshape(-1)


@dataclass(frozen=True)
class CharacterIds:
    """Token ids of all code points, -1 where there is none: `pages[page_of[c // 256] * 256 + c % 256]`."""

    page_of: Column
    pages: Column


def character_ids(vocabulary: Mapping[str, int]) -> CharacterIds:
    """The token id of each character that is a token, a blank's being that of "▁"."""
    found = np.full(sys.maxunicode + 1, -1, np.int64)
    for token, index in vocabulary.items():
        if len(token) == 1:
            found[ord(token)] = index
    found[ord(" ")] = found[ord(SPACE_MARKER)]
    pages, page_of = _paged(found)
    return CharacterIds(column(page_of), column(pages.reshape(-1)))


def byte_ids(vocabulary: Vocabulary) -> Array:
    """The token id of each of the 256 bytes; the unknown token's for a byte that has none, -1 without such a token."""
    names = bytes_to_unicode() if vocabulary.byte_level else {b: tokenizer_json.byte_token(b) for b in range(256)}
    return np.array([vocabulary.ids.get(names[b], vocabulary.unk_token_id) for b in range(256)], np.int32)


def merge_table(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> MergeTable:
    """The merges, in order of rank."""
    left, right, merged = (
        np.array([vocabulary[token] for token in tokens], np.int64)
        for tokens in ((a for a, _ in merges), (b for _, b in merges), (a + b for a, b in merges))
    )
    return replace(pair_table(left, right, merged), one_by_one=_one_by_one(left, right, merged))


def _one_by_one(left: Array, right: Array, merged: Array) -> Column | None:
    """Where merging all places of a rank at once is not what merging them one by one is; None where it always is.

    It is the same if what is merged is part of merges of higher rank alone. SentencePiece's merges need not be so: it
    takes every pair that makes a piece.
    """
    size = int(max(left.max(initial=0), right.max(initial=0), merged.max(initial=0))) + 1
    first = np.full(size, len(merged), np.int64)
    for part in (left, right):
        np.minimum.at(first, part, np.arange(len(part)))
    flags = first[merged] < np.arange(len(merged))
    return column(flags.astype(np.int64)) if flags.any() else None


def pair_table(left: Array, right: Array, merged: Array) -> MergeTable:
    """Pairs of numbers and the number that each makes, with the smallest width among the multipliers tried."""
    size = int(max(left.max(initial=0), right.max(initial=0))) + 1
    buckets = 1 << max(1, (2 * len(merged)).bit_length())
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
