"""From the weights that a family has to those that the decoder takes: norms, means and scales go into the matrices."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.model.decoder import EMBEDDING, HEAD, POSITIONS, Shape, Weights

# The name of a weight as a family has it → the weight, a matrix `[out, in]` or a vector; `<name>_bias` is what is added
# behind it. Outside the layers: embedding, positions, norm, logits. In `layer_<i>/`: attention_norm, query, key, value,
# query_norm, key_norm, attention_output, attention_post_norm, feedforward_norm, feedforward_gate, feedforward_up,
# feedforward_down, feedforward_post_norm.
Source = Callable[[str], Array]

# The norm in front of a matrix, folded into it.
_NORMS = {"qkv": "attention_norm", "feedforward_up": "feedforward_norm"}
_POST_NORMS = {"attention_norm": "attention_post_norm", "feedforward_norm": "feedforward_post_norm"}


@dataclass(frozen=True)
class Extras:
    """What a family has that its shape does not tell: rows of a table of positions, and weights that others lack."""

    positions: int = 0
    qkv_bias: bool = False
    head: bool = False
    head_norm: bool = False
    post_norms: bool = False


def weights(shape: Shape, extras: Extras, source: Source) -> Weights:
    """The decoder's weights, each made of the source's when it is read."""
    return Weights(shape, sizes(shape, extras), functools.partial(_read, source, shape, extras))


def sizes(shape: Shape, extras: Extras) -> dict[str, tuple[int, ...]]:
    """The shape of each of the decoder's weights."""
    hidden, wide = shape.hidden, shape.heads * shape.head_dim
    found: dict[str, tuple[int, ...]] = {EMBEDDING: (shape.vocabulary, hidden)}
    if extras.positions:
        found[POSITIONS] = (extras.positions, hidden)
    for i in range(shape.layers):
        found |= {
            f"layer_{i}/qkv": (wide + 2 * shape.kv_heads * shape.head_dim, hidden),
            f"layer_{i}/attention_output": (hidden, wide),
            f"layer_{i}/feedforward_up": ((1 + shape.gated) * shape.inner, hidden),
            f"layer_{i}/feedforward_down": (hidden, shape.inner),
        }
    # where a norm has an offset, every matrix behind one gets a bias
    biased = [n for n in found if "/" in n and (shape.centred or (extras.qkv_bias and n.endswith("qkv")))]
    found |= {f"{name}_bias": found[name][:1] for name in biased}
    for i in range(shape.layers):
        if extras.head_norm:
            found[f"layer_{i}/head_norm"] = (shape.heads + shape.kv_heads, 1, shape.head_dim)
        if extras.post_norms:
            found |= {f"layer_{i}/{name}": (hidden,) for name in _POST_NORMS}
    if extras.head:
        found[HEAD] = (shape.vocabulary, hidden)
    found["norm_gamma"] = (hidden,)
    return found | ({"head_bias": (shape.vocabulary,)} if shape.centred else {})


def _read(source: Source, shape: Shape, extras: Extras, name: str) -> Array:
    """One weight in the decoder's layout."""
    if name in (EMBEDDING, HEAD):
        return source(name)
    if name == POSITIONS:
        return source(POSITIONS)[: extras.positions]
    if name == "norm_gamma":
        return source("norm") if shape.logit_cap is None else source("norm") / np.float32(shape.logit_cap)
    if name == "head_bias":  # the last norm's offset, seen through the head
        return source(HEAD if extras.head else EMBEDDING) @ source("norm_bias")
    layer, _, part = name.partition("/")
    return _read_part(lambda own: source(f"{layer}/{own}"), shape, extras, part)


def _read_part(source: Source, shape: Shape, extras: Extras, part: str) -> Array:
    """One weight of a layer in the decoder's layout."""
    if part == "head_norm":
        query, key = source("query_norm") * _query_scale(shape), source("key_norm")
        return np.concatenate([np.tile(query, (shape.heads, 1, 1)), np.tile(key, (shape.kv_heads, 1, 1))])
    if part in _POST_NORMS:
        return source(_POST_NORMS[part])
    matrix, is_bias = part.removesuffix("_bias"), part.endswith("_bias")
    value = _joined(source, shape, extras, part)
    if matrix not in _NORMS:  # it is added to the residual stream, whose mean stays 0 if no summand has one
        return np.subtract(value, value.mean(axis=0)) if shape.centred else value
    norm = _NORMS[matrix]
    if not is_bias:
        return value * source(norm)
    # the norm folded into what follows it: W(γn + β) + b = (Wγ)n + (Wβ + b)
    return value + _joined(source, shape, extras, matrix) @ source(f"{norm}_bias") if shape.centred else value


def _joined(source: Source, shape: Shape, extras: Extras, part: str) -> Array:
    """A matrix of a layer, or its bias, before its norm is folded in: of several with the same input, one."""
    matrix, suffix = part.removesuffix("_bias"), "_bias" if part.endswith("_bias") else ""
    if matrix == "qkv":
        parts = [source(name + suffix) for name in ("query", "key", "value")]
        if not extras.head_norm:
            parts[0] = parts[0] * _query_scale(shape)
        return np.concatenate(parts)
    if matrix == "feedforward_up" and shape.gated:
        return np.concatenate([source("feedforward_gate" + suffix), source(part)])
    return source(part)


def _query_scale(shape: Shape) -> np.float32:
    """What attention scores are multiplied by, which the query absorbs.

    1/sqrt(head_dim) (Vaswani et al. 2017, eq. 1), and less by the cap, whose tanh takes scores in units of it.
    """
    return np.float32(1 / np.sqrt(shape.head_dim) / (shape.score_cap or 1.0))
