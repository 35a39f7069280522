"""How the next token is chosen from the logits, in operations that TensorFlow Lite has built in."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

CANDIDATES = 64  # likeliest tokens that a nucleus is sought in
_BLOCK = 64  # logits whose maximum is taken at once
_HALF = 2**15
_ROUNDS = 8
NEVER = -1e9  # added to a logit: e to it is 0, and divided by a low temperature it is still a number
_HOTTEST = 1e6  # a temperature at which e to what is never said is still 0
LEAST_DRAW = 2.0**-30  # above 0, below every other number that is drawn


@dataclass(frozen=True)
class Sampler:
    """A sampling rule.

    With a `seed` an interpreter draws the same numbers after each load, others in each call; with None, never the same.
    Tokens whose ids are `suppressed` are never chosen.
    """

    name: str
    top_k: int
    top_p: float
    temperature: float
    seed: int | None
    suppressed: Sequence[int] = ()


def draws(count: int, seed: int | None) -> tf.Tensor:
    """Uniform numbers in [0, 1), float32 `[count]`: one for each token of a call.

    Two zero seeds make the runtime seed itself from the system; the raw op keeps a global seed from changing that.
    """
    seeds = (0, 0) if seed is None else (seed, 1)
    return tf.raw_ops.RandomUniform(shape=[count], dtype=tf.float32, seed=seeds[0], seed2=seeds[1])


def hashed_draws(seed: tf.Tensor, count: int) -> tf.Tensor:
    """Uniform numbers in [0, 1), float32 `[count]`, that depend on an int32 `[]` seed alone, on every runtime.

    A Feistel network (Luby and Rackoff 1988) turns the seed into 30 other bits, with each number's place in the key.
    Halves of 15 bits keep every product below 2³¹: no runtime needs to agree on how integers overflow.
    """
    bits = tf.math.floormod(seed, _HALF), tf.math.floormod(tf.math.floordiv(seed, _HALF), _HALF)
    place = tf.range(count)
    left, right = (b + tf.zeros_like(place) for b in bits)
    for key in range(_ROUNDS):
        mixed = tf.math.floormod(right * 181 + (place + 1) * (2 * key + 1) * 131 + 7919 * key, 32749)  # a prime
        square = tf.math.floordiv(mixed * mixed, 2**7)  # the middle of a square depends on every bit
        left, right = right, tf.math.floormod(left + square + place * key, _HALF)
    return (tf.cast(left, tf.float32) + tf.cast(right // 2**6, tf.float32) / 2.0**9) / float(_HALF)


def of_rows(uniform: tf.Tensor, logits: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """Of a call's numbers, one for each token, those for rows of logits `[rows, vocab]` behind `known` tokens."""
    return tf.slice(uniform, [known - 1], [logits.shape[0] or tf.shape(logits)[0]])


@dataclass(frozen=True)
class Inputs:
    """A sampling rule given at run time: temperature float32 `[]`, top_k int32 `[]`, top_p float32 `[]`.

    Which tokens are `suppressed` is known when the graph is made.
    """

    temperature: tf.Tensor
    top_k: tf.Tensor
    top_p: tf.Tensor
    suppressed: Sequence[int] = ()


def any_of(ids: tf.Tensor, some: Sequence[int]) -> tf.Tensor:
    """Whether each id is one of some, bool of the same shape."""
    return functools.reduce(tf.logical_or, [tf.equal(ids, one) for one in some])


def without(logits: tf.Tensor, suppressed: Sequence[int]) -> tf.Tensor:
    """Logits `[…, vocab]`, those of some ids so low that neither draw nor maximum reaches them.

    One constant and one sum; where nothing is suppressed, not even these.
    """
    if not suppressed:
        return logits
    mask = np.zeros(logits.shape[-1], np.float32)
    mask[list(suppressed)] = NEVER
    return logits + tf.constant(mask)


def choose_by_inputs(logits: tf.Tensor, rule: Inputs, draws: tf.Tensor) -> tf.Tensor:
    """The ids that rows of logits `[rows, vocab]` say by uniform numbers `[rows]`, int32 `[rows]`.

    The settings are known only at run time: temperature 0 is greedy, top_k 0 and top_p 1 leave out none, of the
    CANDIDATES likeliest, that is. There is no IF for greedy: what one reads is copied whichever branch it takes, and
    inside a loop it costs more than all of this.
    """
    sampling = rule.temperature > 0.0
    allowed = tf.where(rule.top_k > 0, rule.top_k, CANDIDATES)
    values, ids = largest(without(logits, rule.suppressed), CANDIDATES)
    scaled = values / tf.where(sampling, tf.minimum(rule.temperature, _HOTTEST), 1.0)
    kept = tf.range(values.shape[-1]) < tf.where(sampling, allowed, 1)
    probabilities = tf.nn.softmax(tf.where(kept, scaled, scaled.dtype.min))
    return _at(ids, _pick(_nucleus(probabilities, rule.top_p), draws))


def choose(logits: tf.Tensor, rule: Sampler, draws: tf.Tensor) -> tf.Tensor:
    """The ids, int32 `[rows]`, that rows of logits `[rows, vocab]` say by uniform numbers `[rows]`; greedy needs none.

    top_p looks at the CANDIDATES likeliest tokens alone: sorting 50,257 takes as long as the rest of GPT-2 base.
    """
    if rule.suppressed:
        logits = without(logits, rule.suppressed)
        draws = tf.maximum(draws, LEAST_DRAW)  # 0 falls to the first token, whatever its weight
    if rule.name == "greedy":
        return tf.argmax(logits, axis=-1, output_type=tf.int32)
    if rule.name == "temperature":
        return _pick(tf.nn.softmax(logits / rule.temperature), draws)
    values, ids = largest(logits, CANDIDATES if rule.name == "top_p" else rule.top_k)
    probabilities = tf.nn.softmax(values / rule.temperature)
    if rule.name == "top_p":
        probabilities = _nucleus(probabilities, rule.top_p)
    return _at(ids, _pick(probabilities, draws))


def largest(logits: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The `count` largest of each row of `[rows, vocab]` (all, if there are fewer), falling, and their ids, int32.

    They lie within the `count` blocks that have the largest maxima, so that only these are sorted: a sixth of the time
    of TOPK_V2 over 50,257.
    """
    size = logits.shape[1]
    blocks = -(-size // _BLOCK)
    if blocks <= count:
        return tuple(tf.math.top_k(logits, min(count, size)))
    filled = tf.pad(logits, [[0, 0], [0, blocks * _BLOCK - size]], constant_values=logits.dtype.min)
    filled = tf.reshape(filled, [-1, _BLOCK])
    _, chosen = tf.math.top_k(tf.reshape(tf.reduce_max(filled, axis=1), [-1, blocks]), count)
    values, places = tf.math.top_k(tf.reshape(tf.gather(filled, _flat(chosen, blocks)), [-1, count * _BLOCK]), count)
    return values, _at(chosen, places // _BLOCK) * _BLOCK + places % _BLOCK


def _at(values: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """Of each row of `[rows, n]` the value or values at places of its own, `[rows]` or `[rows, m]`."""
    return tf.gather(tf.reshape(values, [-1]), _flat(places, values.shape[1]))


def _flat(places: tf.Tensor, width: int) -> tf.Tensor:
    """Places in rows as places in all rows of that width on end: GATHER by rows is unknown to older runtimes."""
    if places.shape[0] == 1:
        return places
    return places + tf.reshape(width * tf.range(tf.shape(places)[0]), [-1] + [1] * (places.shape.rank - 1))


def _nucleus(probabilities: tf.Tensor, top_p: float | tf.Tensor) -> tf.Tensor:
    """Falling probabilities `[rows, n]`, 0 behind the fewest that reach top_p together (Holtzman et al. 2020)."""
    before = tf.cumsum(probabilities, axis=-1) - probabilities
    return tf.where(before < top_p, probabilities, 0.0)


def _pick(weights: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """The index whose share of the weights `[rows, n]` a uniform number `[rows]` falls into, int32 `[rows]`."""
    bounds = tf.cumsum(weights, axis=-1)
    index = tf.reduce_sum(tf.cast(bounds < tf.reshape(draws, [-1, 1]) * bounds[:, -1:], tf.int32), axis=-1)
    return tf.minimum(index, weights.shape[-1] - 1)
