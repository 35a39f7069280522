"""Constant tables with which a graph of integer operations encodes text as GPT-2's byte-level BPE does."""

import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.arrays import Array
from stages.lm.tokenizer import byte_characters

OTHER, LETTER, NUMBER, SPACE = 0, 1, 2, 3
# The code points with the property White_Space (Unicode PropList.txt), which `\s` of GPT-2's pattern means.
_WHITE_SPACE = (*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)  # fmt: skip # noqa: E501
_PAGE = 256
# Numbers tried as multipliers: the primes below the largest that keeps every product within int32.
_MULTIPLIERS = 24


@dataclass(frozen=True)
class CharacterClasses:
    """Classes of all code points: `pages[page_of[c // 256], c % 256]`, equal pages stored once."""

    page_of: Array
    pages: Array


@dataclass(frozen=True)
class MergeTable:
    """Merges by (left, right) in buckets: entries of bucket b begin at `starts[b]`; no bucket holds more than `width`.

    The bucket of a pair is (left · multiplier + right) mod buckets, which stays within int32.
    """

    multiplier: int
    width: int
    starts: Array
    left: Array
    right: Array
    rank: Array
    merged: Array  # by rank


def character_classes() -> CharacterClasses:
    """The class of each code point by Python's Unicode database: letters L*, numbers N*, white space, others."""
    kinds = {"L": LETTER, "N": NUMBER}
    classes = np.array([kinds.get(unicodedata.category(chr(c))[0], OTHER) for c in range(sys.maxunicode + 1)], np.uint8)
    classes[list(_WHITE_SPACE)] = SPACE
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
    merged = np.array([vocabulary[a + b] for a, b in merges], np.int32)
    size = max(vocabulary.values()) + 1
    buckets = 1 << max(1, (2 * len(merges)).bit_length())
    largest = (2**31 - 1 - size) // size
    candidates = [m for m in range(largest, max(largest - 2 * _MULTIPLIERS, 0), -1) if m % 2] or [1]
    loads = {m: np.bincount((left * m + right) % buckets, minlength=buckets).max(initial=1) for m in candidates}
    multiplier = min(candidates, key=lambda m: (loads[m], m))
    width = int(loads[multiplier])
    bucket = (left * multiplier + right) % buckets
    order = np.argsort(bucket, kind="stable")
    padding = np.full(width, -1, np.int32)  # a search from the last bucket on stays inside, and finds nothing
    return MergeTable(
        multiplier=multiplier,
        width=width,
        starts=np.searchsorted(bucket[order], np.arange(buckets)).astype(np.int32),
        left=np.concatenate([left[order].astype(np.int32), padding]),
        right=np.concatenate([right[order].astype(np.int32), padding]),
        rank=np.concatenate([order.astype(np.int32), padding]),
        merged=merged,
    )
