"""Constant tables with which a graph of integer operators encodes text as a BPE does."""

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
# The character classes of GPT-2's pattern. A character of none of them is OTHER.
_PATTERNS = {LETTER: r"\p{L}", NUMBER: r"\p{N}", SPACE: r"\s"}
_PAGE = 256
# How many odd multipliers of a hash are tried, from the largest down that keeps every product within int32.
_MULTIPLIERS = 24


@dataclass(frozen=True)
class CharacterClasses:
    """The class of each code point c: `pages[page_of[c // 256], c % 256]`; equal pages are stored once."""

    page_of: Array
    pages: Array


@dataclass(frozen=True)
class CompactInts:
    """Integers in the narrowest type that holds them: `values + offset`."""

    values: Array
    offset: int


def compact_ints(numbers: Array) -> CompactInts:
    """Integers in uint8, int16 or int32, the types that every runtime gathers."""
    low = int(numbers.min(initial=0))
    span = int(numbers.max(initial=0)) - low
    dtype, offset = (np.uint8, low) if span < 2**8 else (np.int16, low + 2**15) if span < 2**16 else (np.int32, 0)
    return CompactInts((numbers.astype(np.int64) - offset).astype(dtype), offset)


@dataclass(frozen=True)
class MergeTable:
    """A hash table of pairs of ids.

    The bucket of a pair is (left · multiplier + right) mod buckets, which stays within int32.

    Attributes:
      multiplier: of the hash.
      buckets: how many there are.
      width: entries of the fullest bucket.
      starts: by bucket, its first entry.
      left: by entry, the left id.
      right: by entry, the right id.
      rank: by entry, the rank of the merge.
      merged: by rank, the id that the pair becomes.
      one_by_one: by rank, 1 if only the first place of a word may be merged at a time; None if no rank asks for it.
    """

    multiplier: int
    buckets: int
    width: int
    starts: CompactInts
    left: CompactInts
    right: CompactInts
    rank: CompactInts
    merged: CompactInts
    one_by_one: CompactInts | None = None


@functools.cache
def character_classes(words: str = "") -> CharacterClasses:
    """The class of each code point: letter, number, white space or other.

    The Unicode data are those of `tokenizers`, which trained the vocabulary and reads tokenizer.json. Python 3.11's are
    older, and take letters and digits that came since for others. The pre-tokenizer Digits of `tokenizers` knows a
    newer Unicode than its regular expressions.

    Args:
      words: the pattern (pre_tokenizers.py), if it has classes of its own.
    """
    points = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    is_character = (points < 0xD800) | (points >= 0xE000)  # no surrogate
    text = points[is_character].tobytes().decode("utf-32-le")
    classes = np.full(len(points), OTHER, np.uint8)
    for kind, pattern in _PATTERNS.items():
        rest = normalizers.Replace(Regex(pattern), "").normalize_str(text)
        matches = is_character.copy()
        matches[np.frombuffer(rest.encode("utf-32-le"), np.uint32)] = False
        classes[matches] = kind
    if words == DIGITS:
        parts = pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str("a" + "a".join(text) + "a")
        classes[[ord(part) for part, _ in parts if len(part) == 1 and part != "a"]] = NUMBER
    pages, page_of = _paged(classes)
    return CharacterClasses(page_of.astype(np.uint8), pages.astype(np.uint8))


def _paged(values: Array) -> tuple[Array, Array]:
    """A table over all code points as distinct pages, and the page of each 256 code points."""
    pages, page_of = np.unique(values.reshape(-1, _PAGE), axis=0, return_inverse=True)
    return pages, page_of.reshape(-1)


@dataclass(frozen=True)
class CharacterIds:
    """The token id of each code point c, -1 for none: `pages[page_of[c // 256] * 256 + c % 256]`."""

    page_of: CompactInts
    pages: CompactInts


def character_ids(vocabulary: Mapping[str, int]) -> CharacterIds:
    """The token id of each character that is a token; a blank has that of "▁"."""
    ids = np.full(sys.maxunicode + 1, -1, np.int64)
    for token, token_id in vocabulary.items():
        if len(token) == 1:
            ids[ord(token)] = token_id
    ids[ord(" ")] = ids[ord(SPACE_MARKER)]
    pages, page_of = _paged(ids)
    return CharacterIds(compact_ints(page_of), compact_ints(pages.reshape(-1)))


def byte_ids(vocabulary: Vocabulary) -> Array:
    """The token id of each of the 256 bytes; for a byte without one the unknown token's, -1 if there is none."""
    names = bytes_to_unicode() if vocabulary.byte_level else {b: tokenizer_json.byte_token(b) for b in range(256)}
    return np.array([vocabulary.ids.get(names[b], vocabulary.unk_token_id) for b in range(256)], np.int32)


def merge_table(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> MergeTable:
    """The merges, in order of rank."""
    left, right, merged = (
        np.array([vocabulary[token] for token in tokens], np.int64)
        for tokens in ((a for a, _ in merges), (b for _, b in merges), (a + b for a, b in merges))
    )
    return replace(pair_table(left, right, merged), one_by_one=_one_by_one(left, right, merged))


def _one_by_one(left: Array, right: Array, merged: Array) -> CompactInts | None:
    """The ranks whose places must be merged one by one.

    Merging all places of a rank at once is the same if the merged token is part of merges of higher rank only.
    SentencePiece's merges need not be so: it takes every pair that makes a piece.
    """
    size = int(max(left.max(initial=0), right.max(initial=0), merged.max(initial=0))) + 1
    first_rank = np.full(size, len(merged), np.int64)
    for part in (left, right):
        np.minimum.at(first_rank, part, np.arange(len(part)))
    flags = first_rank[merged] < np.arange(len(merged))
    return compact_ints(flags.astype(np.int64)) if flags.any() else None


def pair_table(left: Array, right: Array, merged: Array) -> MergeTable:
    """A hash table of pairs of numbers, with the multiplier that gives the narrowest buckets among those tried."""
    size = int(max(left.max(initial=0), right.max(initial=0))) + 1
    buckets = 1 << max(1, (2 * len(merged)).bit_length())
    largest = (2**31 - 1 - size) // size
    candidates = [m for m in range(largest, max(largest - 2 * _MULTIPLIERS, 0), -1) if m % 2] or [1]
    loads = {m: np.bincount((left * m + right) % buckets, minlength=buckets).max(initial=1) for m in candidates}
    multiplier = min(candidates, key=lambda m: (loads[m], m))
    width = int(loads[multiplier])
    bucket = (left * multiplier + right) % buckets
    order = np.argsort(bucket, kind="stable")
    padding = np.full(width, -1)  # a search of the last bucket stays inside the table, and matches nothing
    return MergeTable(
        multiplier=multiplier,
        buckets=buckets,
        width=width,
        starts=compact_ints(np.searchsorted(bucket[order], np.arange(buckets))),
        left=compact_ints(np.concatenate([left[order], padding])),
        right=compact_ints(np.concatenate([right[order], padding])),
        rank=compact_ints(np.concatenate([order, padding])),
        merged=compact_ints(merged),
    )
