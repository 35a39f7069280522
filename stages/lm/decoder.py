"""A decoder-only transformer as a plain TensorFlow function; attention over earlier tokens is handed in.

Weights are handed in as tensors, matrices laid out `[out, in]`, so that a converter never sees their values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import tensorflow as tf

from stages.arrays import Array

EMBEDDING = "embedding"
POSITIONS = "positions"

Tensors = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class Shape:
    """The dimensions of a decoder; `context` is the number of positions it was trained on."""

    layers: int
    heads: int
    head_dim: int
    vocabulary: int
    context: int
    epsilon: float

    @property
    def hidden(self) -> int:
        """The width of the residual stream."""
        return self.heads * self.head_dim


@dataclass(frozen=True)
class Weights:
    """A decoder's weights: the shape of each by name, matrices `[out, in]` and vectors, and how to read one."""

    shape: Shape
    sizes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], Array]


# (query, key, value, each [1, heads, T, head_dim]) → [1, heads, T, head_dim]
Attend = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]

OUTER = (EMBEDDING, POSITIONS, "norm_gamma", "head_bias")  # weights outside the layers


def embed(weights: Tensors, tokens: tf.Tensor, input_pos: tf.Tensor) -> tf.Tensor:
    """What goes into the first layer, `[T, hidden]`, of tokens int32 `[1, T]` at positions int32 `[T]`."""
    positions = tf.minimum(input_pos, weights[POSITIONS].shape[0] - 1)
    x = tf.gather(weights[EMBEDDING], tokens[0]) + tf.gather(weights[POSITIONS], positions)
    return x - tf.reduce_mean(x, axis=-1, keepdims=True)


def layer(shape: Shape, weights: Tensors, x: tf.Tensor, attend: Attend) -> tf.Tensor:
    """One layer, `[T, hidden]` to `[T, hidden]`, by its own weights."""
    h = attend(*_heads(_dense(_norm(x, shape.epsilon), "qkv", weights), shape))
    x = x + _dense(tf.reshape(tf.transpose(h, [0, 2, 1, 3]), [-1, shape.hidden]), "attention_output", weights)
    h = tf.nn.gelu(_dense(_norm(x, shape.epsilon), "feedforward_up", weights), approximate=True)
    return x + _dense(h, "feedforward_down", weights)


def logits(shape: Shape, weights: Tensors, x: tf.Tensor) -> tf.Tensor:
    """Scores of the next token, `[1, T, vocab]`, by the embedding table itself (tied weights)."""
    hidden = _norm(x, shape.epsilon, weights["norm_gamma"])
    return (tf.matmul(hidden, weights[EMBEDDING], transpose_b=True) + weights["head_bias"])[tf.newaxis]


def _dense(x: tf.Tensor, name: str, weights: Tensors) -> tf.Tensor:
    return tf.matmul(x, weights[name], transpose_b=True) + weights[name + "_bias"]


def _norm(x: tf.Tensor, epsilon: float, gamma: tf.Tensor | None = None) -> tf.Tensor:
    """Layer normalization of what has a mean of 0, without the affine part.

    The family folds both into its weights: the affine part into the matrix that follows, and the subtraction of the
    mean into whatever is added to x (Ashkboos et al. 2024, SliceGPT, section 3.1).

    A gamma that cannot move is applied to the inverse deviation: behind the product the converter would pull it
    into the next matrix, which in a skeleton is an input, and multiply that whole matrix anew for every token.
    """
    scale = tf.math.rsqrt(tf.reduce_mean(x * x, axis=-1, keepdims=True) + epsilon)
    return x * (scale if gamma is None else scale * gamma)


def _heads(x: tf.Tensor, shape: Shape) -> list[tf.Tensor]:
    """Query, key and value, each `[1, heads, T, head_dim]`, of `[T, 3 · hidden]`.

    Slices, not tf.split: where prefill leaves the last layer's query unused, XNNPACK of TF 2.18 fails to run the SPLIT.
    """
    x = tf.transpose(tf.reshape(x, [1, -1, 3 * shape.heads, shape.head_dim]), [0, 2, 1, 3])
    return [x[:, i * shape.heads : (i + 1) * shape.heads] for i in range(3)]
