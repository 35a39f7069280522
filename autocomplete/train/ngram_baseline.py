"""A baseline for language models: n-grams of tokens with interpolated Kneser-Ney smoothing.

Source: Chen and Goodman, "An empirical study of smoothing techniques for language modeling" (1999), section 3.4, with
one discount for each order, n1 / (n1 + 2 n2) by Ney et al.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autocomplete.common.arrays import Array

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd: multiplication by it modulo 2**64 is invertible


@dataclass(frozen=True)
class _Counts:
    """The counts of n-grams of one length. N-grams and contexts are sorted hashes, uint64.

    Attributes:
      grams: the n-grams, `[g]`.
      counts: the count of each n-gram, `[g]`.
      contexts: the contexts, `[c]`: n-grams without their last token.
      totals: the sum of the counts in each context, `[c]`.
      distinct: the number of different continuations of each context, `[c]`.
      discount: what is subtracted from each count.
    """

    grams: Array
    counts: Array
    contexts: Array
    totals: Array
    distinct: Array
    discount: float


def bits_per_byte(train: Array, held_out: Array, token_bytes: Sequence[int], order: int = 5) -> float:
    """The bits per byte of held-out tokens; the first token is not scored.

    Args:
      train: the tokens to count, int32 `[n]`.
      held_out: the tokens to score, int32 `[m]`.
      token_bytes: the number of bytes of each token id.
      order: the largest length of an n-gram.
    """
    scored = held_out[1:]
    bits = -np.log2(probabilities(train, held_out, len(token_bytes), order))
    return float(bits.sum() / np.asarray(token_bytes)[scored].sum())


def probabilities(train: Array, held_out: Array, vocabulary: int, order: int) -> Array:
    """The probability of each token of `held_out` but the first, given the tokens before it; float64 `[m - 1]`."""
    mixed = np.full(len(held_out) - 1, 1 / vocabulary)
    for length, counts in enumerate(_count(train, order), start=1):
        first = max(length - 1, 1)  # the first token with a complete context
        contexts, grams = _hashes(held_out[:-1], length - 1), _hashes(held_out, length)
        mixed[first - 1 :] = _interpolate(
            counts,
            contexts[first - (length - 1) :][: len(held_out) - first],
            grams[first - (length - 1) :],
            mixed[first - 1 :],
        )
    return mixed


def _interpolate(counts: _Counts, contexts: Array, grams: Array, lower: Array) -> Array:
    """The probability of each n-gram's last token, `[m]`.

    The share that the discount takes from this order goes to the probabilities of the `lower` orders.
    """
    count, total = _look_up(counts.grams, counts.counts, grams), _look_up(counts.contexts, counts.totals, contexts)
    distinct = _look_up(counts.contexts, counts.distinct, contexts)
    divisor = np.maximum(total, 1)
    mixed = (np.maximum(count - counts.discount, 0) + counts.discount * distinct * lower) / divisor
    return np.where(total > 0, mixed, lower)


def _count(tokens: Array, order: int) -> list[_Counts]:
    """The counts of each length from 1 on.

    All but the longest n-grams count the number of different tokens before them instead of their occurrences.
    """
    tables = []
    for length in range(1, order + 1):
        hashes = _hashes(tokens, length)
        grams, first, counts = np.unique(hashes, return_index=True, return_counts=True)
        if length < order:
            _, positions = np.unique(_hashes(tokens, length + 1), return_index=True)
            counts = np.bincount(np.searchsorted(grams, hashes[positions + 1]), minlength=len(grams))
        contexts, context_of_gram = np.unique(_hashes(tokens, length - 1)[first], return_inverse=True)
        totals = np.bincount(context_of_gram, weights=counts, minlength=len(contexts))
        distinct = np.bincount(context_of_gram[counts > 0], minlength=len(contexts))
        once, twice = np.sum(counts == 1), np.sum(counts == 2)
        discount = once / (once + 2 * twice) if once else 0.0
        tables.append(_Counts(grams, counts, contexts, totals, distinct, float(discount)))
    return tables


def _hashes(tokens: Array, length: int) -> Array:
    """A hash of each sequence of `length` tokens, uint64 `[n - length + 1]`; zeros if `length` is 0."""
    size = len(tokens) - length + 1
    hashes = np.zeros(size, np.uint64)
    for i in range(length):
        hashes = (hashes ^ (tokens[i : i + size].astype(np.uint64) + np.uint64(1))) * _MULTIPLIER
        hashes ^= hashes >> np.uint64(29)
    return hashes


def _look_up(keys: Array, values: Array, wanted: Array) -> Array:
    """The value of each wanted key, float64; 0 if the key is missing. `keys` are sorted."""
    positions = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    result: Array = np.where(keys[positions] == wanted, values[positions], 0).astype(np.float64)
    return result
