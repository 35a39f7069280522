"""How the next token is chosen from the logits, in operations that TensorFlow Lite has built in."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class Sampler:
    """A sampling rule; `seed` None draws other numbers in every interpreter."""

    name: str
    top_k: int
    top_p: float
    temperature: float
    seed: int | None


def choose(logits: tf.Tensor, sampler: Sampler) -> tf.Tensor:
    """The id of the next token, int32 `[]`, from logits `[vocab]`."""
    if sampler.name == "greedy":
        return tf.argmax(logits, output_type=tf.int32)
    scaled = logits / sampler.temperature
    if sampler.name == "temperature":
        return tf.argmax(scaled + _gumbel(scaled.shape[0], sampler.seed), output_type=tf.int32)
    size = logits.shape[0] if sampler.name == "top_p" else min(sampler.top_k, logits.shape[0])
    values, ids = tf.math.top_k(scaled, size)
    if sampler.name == "top_p":
        values = _nucleus(values, sampler.top_p)
    return tf.gather(ids, tf.argmax(values + _gumbel(size, sampler.seed), output_type=tf.int32))


def _nucleus(values: tf.Tensor, share: float) -> tf.Tensor:
    """Of descending values the fewest whose probabilities reach `share` (Holtzman et al. 2020); the rest far below."""
    probabilities = tf.nn.softmax(values)
    before = tf.cumsum(probabilities) - probabilities
    return tf.where(before < share, values, -1e9)


def _gumbel(size: int, seed: int | None) -> tf.Tensor:
    """Gumbel noise: the argmax of logits plus noise is a draw from their softmax (Gumbel 1954).

    Two zero seeds make the runtime seed itself from the system; the raw op keeps a global seed from changing that.
    """
    seeds = (0, 0) if seed is None else (seed, 1)
    uniform = tf.raw_ops.RandomUniform(shape=[size], dtype=tf.float32, seed=seeds[0], seed2=seeds[1])
    return -tf.math.log(-tf.math.log(tf.maximum(uniform, np.finfo(np.float32).tiny)))
