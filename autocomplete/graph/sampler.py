"""Chooses the next token from the logits, in operators that TensorFlow Lite has built in.

Shapes: L rows of logits, one for each token to choose; V vocabulary; n numbers of a row.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import tensorflow as tf

from autocomplete.common.artifacts import Conversion

CANDIDATES = 64  # the likeliest tokens, among which top_p is applied
_BLOCK = 64  # logits of which one maximum is taken
_HALF = 2**15
_ROUNDS = 8
SUPPRESSED_LOGIT = -1e9  # added to a logit: e to it is 0, also after division by a low temperature
_MAX_TEMPERATURE = 1e6  # above it, e to a suppressed logit would no longer be 0
SMALLEST_DRAW = 2.0**-30  # above 0, below every other number that is drawn


@dataclass(frozen=True)
class Sampler:
    """A sampling rule that is part of the graph.

    Attributes:
      name: greedy, top_k, top_p or temperature.
      top_k: how many of the likeliest tokens may be chosen.
      top_p: the probability that the tokens which may be chosen reach together.
      temperature: divides the logits.
      seed: an interpreter draws the same numbers after each load, and others in each call; with None never the same.
      suppressed: ids that are never chosen.
    """

    name: str
    top_k: int
    top_p: float
    temperature: float
    seed: int | None
    suppressed: Sequence[int] = ()

    @classmethod
    def of(cls, conversion: Conversion) -> Self:
        """The rule of a conversion (convert.json)."""
        rule = conversion
        return cls(rule.sampler, rule.top_k, rule.top_p, rule.temperature, rule.seed, rule.suppress_tokens)


@dataclass(frozen=True)
class SamplerInputs:
    """A sampling rule that is an input of the graph.

    Attributes:
      temperature: float32 `[]`, 0 for greedy.
      top_k: int32 `[]`, 0 for all tokens.
      top_p: float32 `[]`, 1 for all tokens.
      suppressed: ids that are never chosen, part of the graph.
    """

    temperature: tf.Tensor
    top_k: tf.Tensor
    top_p: tf.Tensor
    suppressed: Sequence[int] = ()


def draws(count: int, seed: int | None) -> tf.Tensor:
    """Uniform numbers in [0, 1), float32 `[count]`, one for each token of a call.

    Two zero seeds make the runtime seed itself from the system. The raw op keeps a global seed from changing that.
    """
    seeds = (0, 0) if seed is None else (seed, 1)
    return tf.raw_ops.RandomUniform(shape=[count], dtype=tf.float32, seed=seeds[0], seed2=seeds[1])


def hashed_draws(seed: tf.Tensor, count: int) -> tf.Tensor:
    """Uniform numbers in [0, 1), float32 `[count]`, that depend only on the seed, int32 `[]`, in every runtime.

    A Feistel network (Luby and Rackoff 1988) permutes 30 bits of the seed; the index of a number is part of the key.
    Halves of 15 bits keep every product below 2³¹, so no result depends on how a runtime lets integers overflow.
    """
    halves = tf.math.floormod(seed, _HALF), tf.math.floormod(tf.math.floordiv(seed, _HALF), _HALF)
    index = tf.range(count)
    left, right = (half + tf.zeros_like(index) for half in halves)
    for key in range(_ROUNDS):
        mixed = tf.math.floormod(right * 181 + (index + 1) * (2 * key + 1) * 131 + 7919 * key, 32749)  # a prime
        square = tf.math.floordiv(mixed * mixed, 2**7)  # the middle bits of a square depend on every bit
        left, right = right, tf.math.floormod(left + square + index * key, _HALF)
    return (tf.cast(left, tf.float32) + tf.cast(right // 2**6, tf.float32) / 2.0**9) / float(_HALF)


def draws_of_rows(uniform: tf.Tensor, logits: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """The numbers for rows of logits `[L, V]`, the first of which predicts the token at `position`."""
    return tf.slice(uniform, [position - 1], [logits.shape[0] or tf.shape(logits)[0]])


def is_any_of(ids: tf.Tensor, candidates: Sequence[int]) -> tf.Tensor:
    """Whether each id is one of the candidates, bool of the same shape."""
    return functools.reduce(tf.logical_or, [tf.equal(ids, candidate) for candidate in candidates])


def suppress(logits: tf.Tensor, suppressed: Sequence[int]) -> tf.Tensor:
    """Logits `[…, V]`, those of the suppressed ids so low that they are never chosen.

    It adds one constant; where nothing is suppressed, it adds nothing.
    """
    if not suppressed:
        return logits
    mask = np.zeros(logits.shape[-1], np.float32)
    mask[list(suppressed)] = SUPPRESSED_LOGIT
    return logits + tf.constant(mask)


def choose_by_inputs(logits: tf.Tensor, rule: SamplerInputs, draws: tf.Tensor) -> tf.Tensor:
    """The chosen ids, int32 `[L]`, of logits `[L, V]` and uniform numbers `[L]`, for settings known at run time.

    Only the CANDIDATES likeliest tokens may be chosen. Greedy is no IF: whatever an IF reads is copied whichever branch
    it takes, and inside a loop that costs more than all of this.
    """
    is_random = rule.temperature > 0.0
    num_allowed = tf.where(rule.top_k > 0, rule.top_k, CANDIDATES)
    values, ids = largest(suppress(logits, rule.suppressed), CANDIDATES)
    scaled = values / tf.where(is_random, tf.minimum(rule.temperature, _MAX_TEMPERATURE), 1.0)
    is_allowed = tf.range(values.shape[-1]) < tf.where(is_random, num_allowed, 1)
    probabilities = tf.nn.softmax(tf.where(is_allowed, scaled, scaled.dtype.min))
    return _gather_per_row(ids, _sample(_nucleus(probabilities, rule.top_p), draws))


def choose(logits: tf.Tensor, rule: Sampler, draws: tf.Tensor) -> tf.Tensor:
    """The chosen ids, int32 `[L]`, of logits `[L, V]` and uniform numbers `[L]`, which greedy does not use.

    top_p is applied to the CANDIDATES likeliest tokens: sorting 50,257 takes as long as the rest of GPT-2 base.
    """
    if rule.suppressed:
        logits = suppress(logits, rule.suppressed)
        draws = tf.maximum(draws, SMALLEST_DRAW)  # 0 would choose the first token, even if its weight is 0
    if rule.name == "greedy":
        return tf.argmax(logits, axis=-1, output_type=tf.int32)
    if rule.name == "temperature":
        return _sample(tf.nn.softmax(logits / rule.temperature), draws)
    values, ids = largest(logits, CANDIDATES if rule.name == "top_p" else rule.top_k)
    probabilities = tf.nn.softmax(values / rule.temperature)
    if rule.name == "top_p":
        probabilities = _nucleus(probabilities, rule.top_p)
    return _gather_per_row(ids, _sample(probabilities, draws))


def largest(logits: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The `count` largest of each row of `[L, V]` in descending order, all if there are fewer, and their ids, int32.

    They lie within the `count` blocks with the largest maxima, so that only these are sorted. This takes a sixth of the
    time of TOPK_V2 over 50,257 logits.
    """
    size = logits.shape[1]
    blocks = -(-size // _BLOCK)
    if blocks <= count:
        return tuple(tf.math.top_k(logits, min(count, size)))
    padded = tf.pad(logits, [[0, 0], [0, blocks * _BLOCK - size]], constant_values=logits.dtype.min)
    padded = tf.reshape(padded, [-1, _BLOCK])
    _, chosen = tf.math.top_k(tf.reshape(tf.reduce_max(padded, axis=1), [-1, blocks]), count)
    candidates = tf.reshape(tf.gather(padded, _flat_indices(chosen, blocks)), [-1, count * _BLOCK])
    values, places = tf.math.top_k(candidates, count)
    return values, _gather_per_row(chosen, places // _BLOCK) * _BLOCK + places % _BLOCK


def _gather_per_row(values: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """Gathers from each row of `[L, n]` at its own indices, `[L]` or `[L, m]`."""
    return tf.gather(tf.reshape(values, [-1]), _flat_indices(indices, values.shape[1]))


def _flat_indices(indices: tf.Tensor, width: int) -> tf.Tensor:
    """Indices in rows of that width as indices in all rows flattened: older runtimes do not know a batched GATHER."""
    if indices.shape[0] == 1:
        return indices
    return indices + tf.reshape(width * tf.range(tf.shape(indices)[0]), [-1] + [1] * (indices.shape.rank - 1))


def _nucleus(probabilities: tf.Tensor, top_p: float | tf.Tensor) -> tf.Tensor:
    """Descending probabilities `[L, n]`, 0 behind the fewest that reach top_p together (Holtzman et al. 2020)."""
    before = tf.cumsum(probabilities, axis=-1) - probabilities
    return tf.where(before < top_p, probabilities, 0.0)


def _sample(weights: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """An index of each row of weights `[L, n]`, int32 `[L]`: the one whose share a uniform number `[L]` falls into."""
    bounds = tf.cumsum(weights, axis=-1)
    index = tf.reduce_sum(tf.cast(bounds < tf.reshape(draws, [-1, 1]) * bounds[:, -1:], tf.int32), axis=-1)
    return tf.minimum(index, weights.shape[-1] - 1)
