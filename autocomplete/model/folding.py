"""Turns a family's weights into the decoder's: norms, means and scales are folded into the matrices.

The decoder then norms without gamma and beta, and needs no scale of the attention scores.
"""

import functools
from dataclasses import dataclass

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.model.checkpoint import ReadWeight
from autocomplete.model.config import DecoderConfig
from autocomplete.model.decoder import EMBEDDING, HEAD, POSITIONS, Weights

# A family's weights have these names; `<name>_bias` is added behind the matrix. Outside the layers: embedding,
# positions, norm, logits. In `layer_<i>/`: attention_norm, query, key, value, query_norm, key_norm, attention_output,
# attention_post_norm, feedforward_norm, feedforward_gate, feedforward_up, feedforward_down, feedforward_post_norm.

# The norm in front of a matrix, which is folded into it.
_NORMS = {"qkv": "attention_norm", "feedforward_up": "feedforward_norm"}
_POST_NORMS = {"attention_norm": "attention_post_norm", "feedforward_norm": "feedforward_post_norm"}


@dataclass(frozen=True)
class OptionalWeights:
    """Which weights a family has that others lack.

    Attributes:
      num_positions: rows of a learned position table; 0 for no table.
      qkv_bias: biases of query, key and value.
      untied_head: an output head other than the embedding table.
      qk_norm: norms of each head's query and key.
      post_norms: norms behind attention and the feed-forward block.
    """

    num_positions: int = 0
    qkv_bias: bool = False
    untied_head: bool = False
    qk_norm: bool = False
    post_norms: bool = False


def decoder_weights(config: DecoderConfig, optional: OptionalWeights, read: ReadWeight) -> Weights:
    """The decoder's weights; each is computed from the family's when it is read."""
    return Weights(config, weight_shapes(config, optional), functools.partial(_fold, read, config, optional))


def weight_shapes(config: DecoderConfig, optional: OptionalWeights) -> dict[str, tuple[int, ...]]:
    """The shape of each of the decoder's weights, by name."""
    hidden, attended = config.hidden_size, config.num_heads * config.head_dim
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (config.vocab_size, hidden)}
    if optional.num_positions:
        shapes[POSITIONS] = (optional.num_positions, hidden)
    for i in range(config.num_layers):
        shapes |= {
            f"layer_{i}/qkv": (attended + 2 * config.num_kv_heads * config.head_dim, hidden),
            f"layer_{i}/attention_output": (hidden, attended),
            f"layer_{i}/feedforward_up": ((1 + config.gated) * config.intermediate_size, hidden),
            f"layer_{i}/feedforward_down": (hidden, config.intermediate_size),
        }
    # a LayerNorm's beta becomes a bias of every matrix behind it
    biased = [n for n in shapes if "/" in n and (config.layer_norm or (optional.qkv_bias and n.endswith("qkv")))]
    shapes |= {f"{name}_bias": shapes[name][:1] for name in biased}
    for i in range(config.num_layers):
        if optional.qk_norm:
            shapes[f"layer_{i}/head_norm"] = (config.num_heads + config.num_kv_heads, 1, config.head_dim)
        if optional.post_norms:
            shapes |= {f"layer_{i}/{name}": (hidden,) for name in _POST_NORMS}
    if optional.untied_head:
        shapes[HEAD] = (config.vocab_size, hidden)
    shapes["norm_gamma"] = (hidden,)
    return shapes | ({"head_bias": (config.vocab_size,)} if config.layer_norm else {})


def _fold(read: ReadWeight, config: DecoderConfig, optional: OptionalWeights, name: str) -> Array:
    """One weight of the decoder."""
    if name in (EMBEDDING, HEAD):
        return read(name)
    if name == POSITIONS:
        return read(POSITIONS)[: optional.num_positions]
    if name == "norm_gamma":
        return read("norm") if config.logit_soft_cap is None else read("norm") / np.float32(config.logit_soft_cap)
    if name == "head_bias":  # the last norm's beta, multiplied by the head
        return read(HEAD if optional.untied_head else EMBEDDING) @ read("norm_bias")
    layer, _, part = name.partition("/")
    return _fold_in_layer(lambda own_name: read(f"{layer}/{own_name}"), config, optional, part)


def _fold_in_layer(read: ReadWeight, config: DecoderConfig, optional: OptionalWeights, part: str) -> Array:
    """One weight of a layer."""
    if part == "head_norm":
        query, key = read("query_norm") * _query_scale(config), read("key_norm")
        heads = np.tile(query, (config.num_heads, 1, 1)), np.tile(key, (config.num_kv_heads, 1, 1))
        return np.concatenate(heads)
    if part in _POST_NORMS:
        return read(_POST_NORMS[part])
    matrix, is_bias = part.removesuffix("_bias"), part.endswith("_bias")
    value = _concatenated(read, config, optional, part)
    if matrix not in _NORMS:
        # The result is added to the residual stream, whose mean stays 0 if no summand has a mean.
        return np.subtract(value, value.mean(axis=0)) if config.layer_norm else value
    norm = _NORMS[matrix]
    if not is_bias:
        return value * read(norm)
    # W(γn + β) + b = (Wγ)n + (Wβ + b)
    return value + _concatenated(read, config, optional, matrix) @ read(f"{norm}_bias") if config.layer_norm else value


def _concatenated(read: ReadWeight, config: DecoderConfig, optional: OptionalWeights, part: str) -> Array:
    """A matrix of a layer or its bias, before its norm is folded in; matrices with the same input become one."""
    matrix, suffix = part.removesuffix("_bias"), "_bias" if part.endswith("_bias") else ""
    if matrix == "qkv":
        query, key, value = (read(name + suffix) for name in ("query", "key", "value"))
        if not optional.qk_norm:  # else the scale is in the norm of the query
            query = query * _query_scale(config)
        return np.concatenate([query, key, value])
    if matrix == "feedforward_up" and config.gated:
        return np.concatenate([read("feedforward_gate" + suffix), read(part)])
    return read(part)


def _query_scale(config: DecoderConfig) -> np.float32:
    """The factor of the attention scores, folded into the query.

    It is 1/sqrt(head_dim) (Vaswani et al. 2017, eq. 1), divided by the soft cap, whose tanh takes scores in its units.
    """
    return np.float32(1 / np.sqrt(config.head_dim) / (config.attention_soft_cap or 1.0))
