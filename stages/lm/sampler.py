"""How the next token is chosen from the logits, in operations that TensorFlow Lite has built in."""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Sampler:
    """A sampling rule.

    With a `seed` an interpreter draws the same numbers after each load, others in each call; with None, never the same.
    """

    name: str
    top_k: int
    top_p: float
    temperature: float
    seed: int | None


def draws(count: int, seed: int | None) -> tf.Tensor:
    """Uniform numbers in [0, 1), float32 `[count]`: one for each token of a call.

    Two zero seeds make the runtime seed itself from the system; the raw op keeps a global seed from changing that.
    """
    seeds = (0, 0) if seed is None else (seed, 1)
    return tf.raw_ops.RandomUniform(shape=[count], dtype=tf.float32, seed=seeds[0], seed2=seeds[1])


def choose(logits: tf.Tensor, rule: Sampler, draw: tf.Tensor) -> tf.Tensor:
    """The id of the next token, int32 `[]`, from logits `[vocab]` and a uniform number `[]`, which greedy ignores."""
    if rule.name == "greedy":
        return tf.argmax(logits, output_type=tf.int32)
    scaled = logits / rule.temperature
    if rule.name == "temperature":
        return _pick(tf.nn.softmax(scaled), draw)
    size = logits.shape[0] if rule.name == "top_p" else min(rule.top_k, logits.shape[0])
    values, ids = tf.math.top_k(scaled, size)
    probabilities = tf.nn.softmax(values)
    if rule.name == "top_p":  # the fewest tokens whose probabilities reach top_p (Holtzman et al. 2020)
        before = tf.cumsum(probabilities) - probabilities
        probabilities = tf.where(before < rule.top_p, probabilities, 0.0)
    return tf.gather(ids, _pick(probabilities, draw))


def _pick(weights: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """The index whose share of the weights `[n]` a uniform number falls into, int32 `[]`."""
    bounds = tf.cumsum(weights)
    index = tf.reduce_sum(tf.cast(bounds < draw * bounds[-1], tf.int32))
    return tf.minimum(index, weights.shape[0] - 1)
