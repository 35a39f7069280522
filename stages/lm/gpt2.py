"""GPT-2's weights, from a KerasHub preset to the decoder's layout, one at a time."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stages.arrays import Array
from stages.files import read_json
from stages.lm import checkpoint
from stages.lm.checkpoint import Layers
from stages.lm.decoder import EMBEDDING, POSITIONS, Shape, Weights

_EPSILON = 1e-5  # keras_hub/src/models/gpt2/gpt2_backbone.py, as in OpenAI's model
_ATTENTION = "_self_attention_layer"
_UP, _DOWN = "_feedforward_intermediate_dense", "_feedforward_output_dense"
# The norm in front of a matrix, folded into it.
_NORMS = {"qkv": "_self_attention_layer_norm", "feedforward_up": "_feedforward_layer_norm"}

Get = Callable[[int, str], Array]


def weights(preset: Path, positions: int) -> Weights:
    """The weights of a GPT-2, with the first `positions` rows of its position table."""
    shape, inner = read_shape(preset), read_json(preset / "config.json")["config"]["intermediate_dim"]
    read = functools.partial(_read, checkpoint.open_layers(preset), shape, positions)
    return Weights(shape, _sizes(shape, inner, positions), read)


def read_shape(preset: Path) -> Shape:
    """The dimensions of a GPT-2."""
    config = read_json(preset / "config.json")["config"]
    return Shape(
        layers=config["num_layers"],
        heads=config["num_heads"],
        head_dim=config["hidden_dim"] // config["num_heads"],
        vocabulary=config["vocabulary_size"],
        context=config["max_sequence_length"],
        epsilon=_EPSILON,
    )


def _sizes(shape: Shape, inner: int, positions: int) -> dict[str, tuple[int, ...]]:
    hidden = shape.hidden
    sizes: dict[str, tuple[int, ...]] = {EMBEDDING: (shape.vocabulary, hidden), POSITIONS: (positions, hidden)}
    for i in range(shape.layers):
        sizes |= {
            f"layer_{i}/qkv": (3 * hidden, hidden),
            f"layer_{i}/attention_output": (hidden, hidden),
            f"layer_{i}/feedforward_up": (inner, hidden),
            f"layer_{i}/feedforward_down": (hidden, inner),
        }
    biases = {f"{name}_bias": size[:1] for name, size in sizes.items() if "/" in name}
    return sizes | biases | {"norm_gamma": (hidden,), "head_bias": (shape.vocabulary,)}


def _read(layers: Layers, shape: Shape, positions: int, name: str) -> Array:
    """One weight in the decoder's layout."""
    outer = functools.partial(checkpoint.variable, layers)
    if name == EMBEDDING:
        return outer("token_embedding", 0)
    if name == POSITIONS:
        return outer("position_embedding", 0)[:positions]
    if name == "norm_gamma":
        return outer("layer_norm", 0)
    if name == "head_bias":  # the last norm's offset, seen through the head
        return outer("token_embedding", 0) @ outer("layer_norm", 1)
    index, part = name.removeprefix("layer_").split("/")
    get = functools.partial(checkpoint.variable, layers, f"transformer_layer_{index}")
    part, is_bias = part.removesuffix("_bias"), part.endswith("_bias")
    if part not in _NORMS:  # it is added to the residual stream, whose mean stays 0 if no summand has one
        value: Array = _bias(get, part, shape) if is_bias else _matrix(get, part, shape)
        return np.subtract(value, value.mean(axis=0))
    gamma, beta, matrix = get(0, _NORMS[part]), get(1, _NORMS[part]), _matrix(get, part, shape)
    # the norm folded into what follows it: W(γn + β) + b = (Wγ)n + (Wβ + b)
    return _bias(get, part, shape) + matrix @ beta if is_bias else matrix * gamma


def _matrix(get: Get, part: str, shape: Shape) -> Array:
    """A matrix of a layer, `[out, in]`."""
    if part == "qkv":
        kernels = [get(0, f"{_ATTENTION}/{n}_dense").reshape(shape.hidden, -1).T for n in ("query", "key", "value")]
        kernels[0] = kernels[0] * _attention_scale(shape)
        return np.concatenate(kernels)
    if part == "attention_output":
        return get(0, f"{_ATTENTION}/output_dense").reshape(-1, shape.hidden).T
    return get(0, _UP if part == "feedforward_up" else _DOWN).T


def _bias(get: Get, part: str, shape: Shape) -> Array:
    """The bias of a matrix, `[out]`."""
    if part == "qkv":
        biases = [get(1, f"{_ATTENTION}/{n}_dense").reshape(-1) for n in ("query", "key", "value")]
        biases[0] = biases[0] * _attention_scale(shape)
        return np.concatenate(biases)
    if part == "attention_output":
        return get(1, f"{_ATTENTION}/output_dense")
    return get(1, _UP if part == "feedforward_up" else _DOWN)


def _attention_scale(shape: Shape) -> np.float32:
    """What attention scores are multiplied by, 1/sqrt(head_dim) (Vaswani et al. 2017, eq. 1); the query absorbs it."""
    return np.float32(1 / np.sqrt(shape.head_dim))
