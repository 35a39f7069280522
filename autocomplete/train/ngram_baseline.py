"""A baseline that any language model must beat: n-grams of tokens, interpolated Kneser-Ney.

Chen and Goodman, "An empirical study of smoothing techniques for language modeling" (1999), section 3.4 (one discount
for each order, n1 / (n1 + 2 n2) by Ney et al.).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autocomplete.common.arrays import Array

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying by it modulo 2**64 loses nothing


@dataclass(frozen=True)
class _Order:
    """Counts of one length of n-grams, by hash: of each n-gram, and of each context with its distinct continuations."""

    grams: Array
    counts: Array
    contexts: Array
    totals: Array
    distinct: Array
    discount: float


def bits_per_byte(train: Array, held_out: Array, token_bytes: Sequence[int], order: int = 5) -> float:
    """How many bits a byte of the held-out tokens costs, their first token unscored.

    Args:
      train: int32 `[n]`, the stream that is counted.
      held_out: int32 `[m]`, the stream that is scored.
      token_bytes: how many bytes each id stands for.
      order: how many tokens an n-gram has at most.
    """
    scored = held_out[1:]
    bits = -np.log2(probabilities(train, held_out, len(token_bytes), order))
    return float(bits.sum() / np.asarray(token_bytes)[scored].sum())


def probabilities(train: Array, held_out: Array, vocabulary: int, order: int) -> Array:
    """The probability of each token of `held_out` but the first behind those before it, float64 `[m - 1]`."""
    mixed = np.full(len(held_out) - 1, 1 / vocabulary)
    for length, table in enumerate(_counted(train, order), start=1):
        first = max(length - 1, 1)  # the first token that has a whole context
        contexts, grams = _hashes(held_out[:-1], length - 1), _hashes(held_out, length)
        mixed[first - 1 :] = _interpolated(
            table,
            contexts[first - (length - 1) :][: len(held_out) - first],
            grams[first - (length - 1) :],
            mixed[first - 1 :],
        )
    return mixed


def _interpolated(table: _Order, contexts: Array, grams: Array, lower: Array) -> Array:
    """The probability of each n-gram's last token by this order and, for what it takes off, by the `lower` ones."""
    count, total = _found(table.grams, table.counts, grams), _found(table.contexts, table.totals, contexts)
    distinct = _found(table.contexts, table.distinct, contexts)
    seen = np.maximum(total, 1)
    mixed = (np.maximum(count - table.discount, 0) + table.discount * distinct * lower) / seen
    return np.where(total > 0, mixed, lower)


def _counted(tokens: Array, order: int) -> list[_Order]:
    """The tables from single tokens up: all but the longest count in how many ways an n-gram is continued leftwards."""
    tables = []
    for length in range(1, order + 1):
        hashes = _hashes(tokens, length)
        grams, first, counts = np.unique(hashes, return_index=True, return_counts=True)
        if length < order:
            _, place = np.unique(_hashes(tokens, length + 1), return_index=True)
            counts = np.bincount(np.searchsorted(grams, hashes[place + 1]), minlength=len(grams))
        contexts, of_gram = np.unique(_hashes(tokens, length - 1)[first], return_inverse=True)
        totals = np.bincount(of_gram, weights=counts, minlength=len(contexts))
        distinct = np.bincount(of_gram[counts > 0], minlength=len(contexts))
        once, twice = np.sum(counts == 1), np.sum(counts == 2)
        discount = once / (once + 2 * twice) if once else 0.0
        tables.append(_Order(grams, counts, contexts, totals, distinct, float(discount)))
    return tables


def _hashes(tokens: Array, length: int) -> Array:
    """A hash of each run of `length` tokens, uint64 `[n - length + 1]`; of none, zeros."""
    runs = len(tokens) - length + 1
    hashed = np.zeros(runs, np.uint64)
    for i in range(length):
        hashed = (hashed ^ (tokens[i : i + runs].astype(np.uint64) + np.uint64(1))) * _MULTIPLIER
        hashed ^= hashed >> np.uint64(29)
    return hashed


def _found(keys: Array, values: Array, wanted: Array) -> Array:
    """The value of each wanted key, 0 where there is none, float64."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: Array = np.where(keys[place] == wanted, values[place], 0).astype(np.float64)
    return found
