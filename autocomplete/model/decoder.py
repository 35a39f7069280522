"""A decoder-only transformer as a plain TensorFlow function; the caller supplies attention over the KV cache.

Weights are tensors that the caller hands in, matrices as `[out, in]`, so that the converter never sees their values.
Where a family lacks a weight (biases, learned positions, extra norms, an untied head), its step is left out.

Shapes: T tokens read, R rows that go on, H query heads, K key and value heads, D head size, E hidden size,
V vocabulary. The batch is always 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import tensorflow as tf

from autocomplete.common.arrays import Array
from autocomplete.model.config import DecoderConfig

EMBEDDING = "embedding"
POSITIONS = "positions"
HEAD = "logits"  # the name of an output head that is not the embedding table

Tensors = Mapping[str, tf.Tensor]
# (query [1, K, H/K · T, D], key and value [1, K, T, D]) → weighted values, shaped as the query
Attend = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
Rotation = tuple[tf.Tensor, tf.Tensor]  # cosines and sines, each [T, rotated pairs]

ACTIVATIONS: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "gelu": lambda x: tf.nn.gelu(x, approximate=True),
    "relu": tf.nn.relu,
    "silu": lambda x: x * tf.sigmoid(x),
}


@dataclass(frozen=True)
class Weights:
    """A decoder's weights, each read when it is needed.

    Attributes:
      config: the decoder's configuration.
      shapes: the shape of each weight by name, matrices `[out, in]` and vectors.
      read: reads one weight by name.
    """

    config: DecoderConfig
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], Array]

    @property
    def outside_layers(self) -> list[str]:
        """The names of the weights outside the layers."""
        return [name for name in self.shapes if "/" not in name]


@dataclass(frozen=True)
class AttentionInputs:
    """What a layer needs beside x and its weights.

    Attributes:
      attend: attention over the KV cache and the T tokens.
      rotation: rotary position embeddings of the T tokens; None for a layer without them.
      rows: int32 `[R]`, the tokens whose output is wanted; None for all T.
    """

    attend: Attend
    rotation: Rotation | None
    rows: tf.Tensor | None = None


def embed(config: DecoderConfig, weights: Tensors, tokens: tf.Tensor, input_pos: tf.Tensor) -> tf.Tensor:
    """The input of the first layer, `[T, E]`, of tokens int32 `[1, T]` at positions int32 `[T]`."""
    if POSITIONS in weights:
        positions = tf.minimum(input_pos, weights[POSITIONS].shape[0] - 1)
        x = tf.gather(weights[EMBEDDING], tokens[0]) + tf.gather(weights[POSITIONS], positions)
    else:
        x = tf.gather(weights[EMBEDDING], tokens[0])
    x = x if config.embedding_scale is None else x * config.embedding_scale
    return x - tf.reduce_mean(x, axis=-1, keepdims=True) if config.layer_norm else x


def layer(config: DecoderConfig, weights: Tensors, x: tf.Tensor, inputs: AttentionInputs) -> tf.Tensor:
    """One layer with its own weights, `[T, E]` to `[T, E]`, or to `[R, E]` if only some rows are wanted.

    The last layer needs keys and values of all tokens, and outputs only of those whose logits are wanted.
    """
    normed, rows = _norm(x, config.norm_epsilon), inputs.rows
    query, key, value = _query_key_value(config, weights, _dense(normed, "qkv", weights), inputs.rotation)
    if rows is not None:
        query, x, normed = tf.gather(query, rows, axis=2), tf.gather(x, rows), tf.gather(normed, rows)
    if config.heads_per_kv_head > 1:
        query = tf.reshape(query, [1, config.num_kv_heads, -1, config.head_dim])
    h = inputs.attend(query, key, value)
    if config.heads_per_kv_head > 1:
        h = tf.reshape(h, [1, config.num_heads, -1, config.head_dim])
    h = tf.reshape(tf.transpose(h, [0, 2, 1, 3]), [-1, config.num_heads * config.head_dim])
    h = _add_residual(config, weights, x, _dense(h, "attention_output", weights), "attention_norm")
    normed = normed if config.parallel_residual else _norm(h, config.norm_epsilon)
    return _add_residual(config, weights, h, _feedforward(config, weights, normed), "feedforward_norm")


def logits(config: DecoderConfig, weights: Tensors, x: tf.Tensor) -> tf.Tensor:
    """Logits of the next token, `[1, T, V]`; the head is the embedding table if there is no other."""
    hidden = _norm(x, config.norm_epsilon, weights["norm_gamma"])
    scores = tf.matmul(hidden, weights.get(HEAD, weights[EMBEDDING]), transpose_b=True)
    if "head_bias" in weights:
        scores = scores + weights["head_bias"]
    return soft_capped(scores, config.logit_soft_cap)[tf.newaxis]


def soft_capped(scores: tf.Tensor, cap: float | None) -> tf.Tensor:
    """Scores bounded by ±cap, by tanh; folding.py has divided the weights that they come from by the cap."""
    return scores if cap is None else cap * tf.tanh(scores)


def _feedforward(config: DecoderConfig, weights: Tensors, x: tf.Tensor) -> tf.Tensor:
    h, activate = _dense(x, "feedforward_up", weights), ACTIVATIONS[config.activation]
    width = config.intermediate_size
    h = activate(h[:, :width]) * h[:, width:] if config.gated else activate(h)
    return _dense(h, "feedforward_down", weights)


def _add_residual(config: DecoderConfig, weights: Tensors, x: tf.Tensor, h: tf.Tensor, post_norm: str) -> tf.Tensor:
    """The residual stream x plus the output of a block, which is normed first if the family has that norm."""
    return x + (_norm(h, config.norm_epsilon, weights[post_norm]) if post_norm in weights else h)


def _dense(x: tf.Tensor, name: str, weights: Tensors) -> tf.Tensor:
    h, bias = tf.matmul(x, weights[name], transpose_b=True), weights.get(name + "_bias")
    return h if bias is None else h + bias


def _norm(x: tf.Tensor, epsilon: float, gamma: tf.Tensor | None = None) -> tf.Tensor:
    """RMSNorm; of an x whose mean is 0, that is LayerNorm too.

    folding.py folds gamma and beta into the matrix that follows, and the subtraction of the mean into whatever is added
    to x (Ashkboos et al. 2024, SliceGPT, section 3.1).

    A gamma that cannot be folded multiplies the inverse deviation. Applied to the product, the converter would move it
    into the next matrix, which is an input of a skeleton, and the graph would multiply the matrix for every token.
    """
    scale = tf.math.rsqrt(tf.reduce_mean(x * x, axis=-1, keepdims=True) + epsilon)
    return x * (scale if gamma is None else scale * gamma)


def _query_key_value(
    config: DecoderConfig, weights: Tensors, x: tf.Tensor, rotation: Rotation | None
) -> list[tf.Tensor]:
    """Query `[1, H, T, D]`, key and value `[1, K, T, D]`, of x `[T, (H + 2K) · D]`.

    It slices, as XNNPACK of TF 2.18 fails to run a SPLIT of which prefill leaves the last layer's query unused.
    """
    with_keys, with_values = config.num_heads + config.num_kv_heads, config.num_heads + 2 * config.num_kv_heads
    x = tf.transpose(tf.reshape(x, [1, -1, with_values, config.head_dim]), [0, 2, 1, 3])
    query_key = x
    if "head_norm" in weights:
        query_key = _norm(x[:, 0:with_keys], config.qk_norm_epsilon, weights["head_norm"])
    if rotation is not None:
        query_key = _rotate(query_key[:, 0:with_keys], *rotation)
    return [
        query_key[:, 0 : config.num_heads],
        query_key[:, config.num_heads : with_keys],
        x[:, with_keys:with_values],
    ]


def _rotate(x: tf.Tensor, cosine: tf.Tensor, sine: tf.Tensor) -> tf.Tensor:
    """Rotary position embeddings (RoFormer, section 3.4.2): dimension i of the rotated ones pairs with i + half."""
    half = int(cosine.shape[-1])
    a, b = x[..., :half], x[..., half : 2 * half]
    parts = [a * cosine - b * sine, b * cosine + a * sine]
    return tf.concat(parts if 2 * half == x.shape[-1] else [*parts, x[..., 2 * half :]], -1)
