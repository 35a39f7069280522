"""A decoder-only transformer as a plain TensorFlow function; attention over earlier tokens is handed in.

Weights are handed in as tensors, matrices laid out `[out, in]`, so that a converter never sees their values. What a
family lacks (biases, learned positions, norms of its own in some places, a head apart from the embedding) is a weight
that is not there, and a step left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import tensorflow as tf

from autocomplete.common.arrays import Array

EMBEDDING = "embedding"
POSITIONS = "positions"
HEAD = "logits"  # where it is not the embedding

Tensors = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class Kind:
    """What may differ from layer to layer.

    `window` is how many tokens a token sees, itself included (None: all before it); `turns` how far rotary positions
    turn, in radians per position, one for each pair of a head's first dimensions (empty: no rotary positions).
    """

    window: int | None = None
    turns: tuple[float, ...] = ()


@dataclass(frozen=True)
class Shape:
    """The dimensions of a decoder, and what a family may do in its own way.

    Layers are of the `kinds` in turn. Norms remove the mean if they are `centred` (LayerNorm) and do not otherwise
    (RMSNorm). `inner` is the width inside the feed-forward part, `gated` if an activated half multiplies the other;
    `parallel` layers feed it what attention reads. Caps bound attention's scores and the logits softly, by tanh.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    vocabulary: int
    epsilon: float
    activation: str
    centred: bool = False
    gated: bool = False
    parallel: bool = False
    embedding_scale: float | None = None
    score_cap: float | None = None
    logit_cap: float | None = None
    head_epsilon: float = 0.0
    kinds: tuple[Kind, ...] = (Kind(),)

    def kind(self, layer: int) -> Kind:
        """The kind of a layer."""
        return self.kinds[layer % len(self.kinds)]

    @property
    def windowed(self) -> bool:
        """Whether some layers see a part of the earlier tokens only."""
        return any(kind.window is not None for kind in self.kinds)

    @property
    def sharing(self) -> int:
        """How many query heads share a head of keys and values."""
        return self.heads // self.kv_heads


@dataclass(frozen=True)
class Weights:
    """A decoder's weights: the shape of each by name, matrices `[out, in]` and vectors, and how to read one."""

    shape: Shape
    sizes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], Array]

    @property
    def outer(self) -> list[str]:
        """The names of the weights outside the layers."""
        return [name for name in self.sizes if "/" not in name]


# (query [1, kv_heads, sharing · T, head_dim], key, value [1, kv_heads, T, head_dim]) → as the query
Attend = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
Turn = tuple[tf.Tensor, tf.Tensor]  # cosines and sines, each [T, turns]

ACTIVATIONS: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "gelu": lambda x: tf.nn.gelu(x, approximate=True),
    "relu": tf.nn.relu,
    "silu": lambda x: x * tf.sigmoid(x),
}


def embed(shape: Shape, weights: Tensors, tokens: tf.Tensor, input_pos: tf.Tensor) -> tf.Tensor:
    """What goes into the first layer, `[T, hidden]`, of tokens int32 `[1, T]` at positions int32 `[T]`."""
    if POSITIONS in weights:
        known = tf.minimum(input_pos, weights[POSITIONS].shape[0] - 1)
        x = tf.gather(weights[EMBEDDING], tokens[0]) + tf.gather(weights[POSITIONS], known)
    else:
        x = tf.gather(weights[EMBEDDING], tokens[0])
    x = x if shape.embedding_scale is None else x * shape.embedding_scale
    return x - tf.reduce_mean(x, axis=-1, keepdims=True) if shape.centred else x


def layer(
    shape: Shape, weights: Tensors, x: tf.Tensor, attend: Attend, turn: Turn | None, rows: tf.Tensor | None = None
) -> tf.Tensor:
    """One layer, `[T, hidden]` to `[T, hidden]`, by its own weights.

    With `rows`, int32 `[R]`, only these tokens go on, `[R, hidden]`: of the others keys and values are of use alone.
    """
    normed = _norm(x, shape.epsilon)
    query, key, value = _heads(shape, weights, _dense(normed, "qkv", weights), turn)
    if rows is not None:
        query, x, normed = tf.gather(query, rows, axis=2), tf.gather(x, rows), tf.gather(normed, rows)
    if shape.sharing > 1:
        query = tf.reshape(query, [1, shape.kv_heads, -1, shape.head_dim])
    h = attend(query, key, value)
    if shape.sharing > 1:
        h = tf.reshape(h, [1, shape.heads, -1, shape.head_dim])
    h = tf.reshape(tf.transpose(h, [0, 2, 1, 3]), [-1, shape.heads * shape.head_dim])
    h = _normed_sum(shape, weights, x, _dense(h, "attention_output", weights), "attention_norm")
    normed = normed if shape.parallel else _norm(h, shape.epsilon)
    return _normed_sum(shape, weights, h, _feedforward(shape, weights, normed), "feedforward_norm")


def logits(shape: Shape, weights: Tensors, x: tf.Tensor) -> tf.Tensor:
    """Scores of the next token, `[1, T, vocab]`; by the embedding table itself where there is no other head."""
    hidden = _norm(x, shape.epsilon, weights["norm_gamma"])
    scores = tf.matmul(hidden, weights.get(HEAD, weights[EMBEDDING]), transpose_b=True)
    if "head_bias" in weights:
        scores = scores + weights["head_bias"]
    return capped(scores, shape.logit_cap)[tf.newaxis]


def capped(scores: tf.Tensor, cap: float | None) -> tf.Tensor:
    """Scores that are divided by the cap already (the family's weights are), softly bounded by it."""
    return scores if cap is None else cap * tf.tanh(scores)


def _feedforward(shape: Shape, weights: Tensors, x: tf.Tensor) -> tf.Tensor:
    h, activate = _dense(x, "feedforward_up", weights), ACTIVATIONS[shape.activation]
    h = activate(h[:, : shape.inner]) * h[:, shape.inner :] if shape.gated else activate(h)
    return _dense(h, "feedforward_down", weights)


def _normed_sum(shape: Shape, weights: Tensors, x: tf.Tensor, h: tf.Tensor, norm: str) -> tf.Tensor:
    """The residual stream with what a part of the layer adds, normed first where the family has a norm there."""
    return x + (_norm(h, shape.epsilon, weights[norm]) if norm in weights else h)


def _dense(x: tf.Tensor, name: str, weights: Tensors) -> tf.Tensor:
    h, bias = tf.matmul(x, weights[name], transpose_b=True), weights.get(name + "_bias")
    return h if bias is None else h + bias


def _norm(x: tf.Tensor, epsilon: float, gamma: tf.Tensor | None = None) -> tf.Tensor:
    """Layer normalization of what has a mean of 0, or RMS normalization, without the affine part.

    The family folds both into its weights: the affine part into the matrix that follows, and the subtraction of the
    mean into whatever is added to x (Ashkboos et al. 2024, SliceGPT, section 3.1).

    A gamma that cannot move is applied to the inverse deviation: behind the product the converter would pull it
    into the next matrix, which in a skeleton is an input, and multiply that whole matrix anew for every token.
    """
    scale = tf.math.rsqrt(tf.reduce_mean(x * x, axis=-1, keepdims=True) + epsilon)
    return x * (scale if gamma is None else scale * gamma)


def _heads(shape: Shape, weights: Tensors, x: tf.Tensor, turn: Turn | None) -> list[tf.Tensor]:
    """Query, key and value, each `[1, heads, T, head_dim]`, of `[T, (heads + 2 · kv_heads) · head_dim]`.

    Slices, not tf.split: where prefill leaves the last layer's query unused, XNNPACK of TF 2.18 fails to run the SPLIT.
    """
    both, every = shape.heads + shape.kv_heads, shape.heads + 2 * shape.kv_heads
    x = tf.transpose(tf.reshape(x, [1, -1, every, shape.head_dim]), [0, 2, 1, 3])
    turned = x
    if "head_norm" in weights:
        turned = _norm(x[:, 0:both], shape.head_epsilon, weights["head_norm"])
    if turn is not None:
        turned = _turned(turned[:, 0:both], *turn)
    return [turned[:, 0 : shape.heads], turned[:, shape.heads : both], x[:, both:every]]


def _turned(x: tf.Tensor, cosine: tf.Tensor, sine: tf.Tensor) -> tf.Tensor:
    """Rotary positions (Su et al. 2021, RoFormer, section 3.4.2): the first half of what turns pairs with the other."""
    half = int(cosine.shape[-1])
    a, b = x[..., :half], x[..., half : 2 * half]
    parts = [a * cosine - b * sine, b * cosine + a * sine]
    return tf.concat(parts if 2 * half == x.shape[-1] else [*parts, x[..., 2 * half :]], -1)
