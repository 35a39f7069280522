"""A decoder-only transformer over a KV cache, with static shapes, as a plain TensorFlow function.

Matrices are laid out `[out, in]` and handed in as tensors, so that a converter never sees their values.
The tensors are those of LiteRT-LM's contract: `tokens` int32 `[1, T]`, `input_pos` int32 `[T]`, `mask` float32
`[1, 1, T, S]` (added to the attention scores), and per layer `kv_cache_k_<i>` and `kv_cache_v_<i>`,
`[1, heads, S, head_dim]`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

from stages.arrays import Array

EMBEDDING = "embedding"
POSITIONS = "positions"

Cache = dict[str, tf.Tensor]


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
    """A decoder's weights by name: matrices `[out, in]` (large) and vectors (biases and one gamma, small)."""

    shape: Shape
    matrices: Mapping[str, Array]
    vectors: Mapping[str, Array]


def cache_names(layers: int) -> list[str]:
    """The names of the KV cache's tensors, layer by layer."""
    return [f"kv_cache_{kind}_{i}" for i in range(layers) for kind in "kv"]


def forward(
    weights: Weights, matrices: Mapping[str, tf.Tensor], tokens: tf.Tensor, input_pos: tf.Tensor, mask: tf.Tensor,
    cache: Cache,
) -> tuple[tf.Tensor, Cache]:  # fmt: skip
    """Runs T tokens; returns the normalized hidden states `[T, hidden]` and the cache with T more slots filled."""
    shape, vectors, updated = weights.shape, weights.vectors, dict[str, tf.Tensor]()
    positions = tf.minimum(input_pos, matrices[POSITIONS].shape[0] - 1)
    x = tf.gather(matrices[EMBEDDING], tokens[0]) + tf.gather(matrices[POSITIONS], positions)
    for i in range(shape.layers):
        layer = f"layer_{i}/"
        h = _norm(x, shape.epsilon)
        q, k, v = (_heads(t, shape) for t in _thirds(_dense(h, layer + "qkv", matrices, vectors)))
        keys = _write(cache[f"kv_cache_k_{i}"], k, input_pos)
        values = _write(cache[f"kv_cache_v_{i}"], v, input_pos)
        updated |= {f"kv_cache_k_{i}": keys, f"kv_cache_v_{i}": values}
        attention = tf.nn.softmax(tf.matmul(q, keys, transpose_b=True) + mask)
        h = tf.reshape(tf.transpose(tf.matmul(attention, values), [0, 2, 1, 3]), [-1, shape.hidden])
        x = x + _dense(h, layer + "attention_output", matrices, vectors)
        h = _norm(x, shape.epsilon)
        h = tf.nn.gelu(_dense(h, layer + "feedforward_up", matrices, vectors), approximate=True)
        x = x + _dense(h, layer + "feedforward_down", matrices, vectors)
    return _norm(x, shape.epsilon, vectors["norm_gamma"]), updated


def logits(weights: Weights, matrices: Mapping[str, tf.Tensor], hidden: tf.Tensor) -> tf.Tensor:
    """Scores of the next token, `[1, T, vocab]`, by the embedding table itself (tied weights)."""
    return (tf.matmul(hidden, matrices[EMBEDDING], transpose_b=True) + weights.vectors["head_bias"])[tf.newaxis]


def _dense(x: tf.Tensor, name: str, matrices: Mapping[str, tf.Tensor], vectors: Mapping[str, Array]) -> tf.Tensor:
    return tf.matmul(x, matrices[name], transpose_b=True) + vectors[name + "_bias"]


def _norm(x: tf.Tensor, epsilon: float, gamma: Array | None = None) -> tf.Tensor:
    """Layer normalization without the affine part, which `fold_norm` moves into the matrix that follows.

    A gamma that cannot move is applied to the inverse deviation: behind the product the converter would pull it
    into the next matrix, which in a skeleton is an input, and multiply that whole matrix anew for every token.
    """
    mean = tf.reduce_mean(x, axis=-1, keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(x, mean), axis=-1, keepdims=True)
    scale = tf.math.rsqrt(variance + epsilon)
    return (x - mean) * (scale if gamma is None else scale * gamma)


def fold_norm(matrix: Array, bias: Array, gamma: Array, beta: Array) -> tuple[Array, Array]:
    """The matrix `[out, in]` and bias that take a bare normalized input: W(γn + β) + b = (Wγ)n + (Wβ + b)."""
    return matrix * gamma, matrix @ beta + bias


def _thirds(x: tf.Tensor) -> list[tf.Tensor]:
    """Query, key and value of `[T, 3 · hidden]`.

    Not tf.split: where prefill leaves the last layer's query unused, XNNPACK of TF 2.18 fails to run the SPLIT.
    """
    width = x.shape[-1] // 3
    return [x[:, i * width : (i + 1) * width] for i in range(3)]


def _heads(x: tf.Tensor, shape: Shape) -> tf.Tensor:
    """`[T, hidden]` to `[1, heads, T, head_dim]`."""
    return tf.transpose(tf.reshape(x, [1, -1, shape.heads, shape.head_dim]), [0, 2, 1, 3])


def _write(cache: tf.Tensor, new: tf.Tensor, input_pos: tf.Tensor) -> tf.Tensor:
    """The cache with `new` in the T slots from `input_pos[0]` on; slots past the end are dropped.

    DYNAMIC_UPDATE_SLICE moves a block that would reach past the end back to where it fits, over older slots.
    One token always fits; several (a padded last chunk) may not, so each slot then picks its own source.
    """
    if new.shape[2] == 1:
        zero = tf.constant(0, tf.int32)
        start = tf.stack([zero, zero, input_pos[0], zero])
        return xla.dynamic_update_slice(cache, new, start)
    source = tf.range(cache.shape[2]) - input_pos[0]
    inside = tf.logical_and(source >= 0, source < new.shape[2])
    moved = tf.gather(new, tf.clip_by_value(source, 0, new.shape[2] - 1), axis=2)
    return tf.where(inside[tf.newaxis, tf.newaxis, :, tf.newaxis], moved, cache)
