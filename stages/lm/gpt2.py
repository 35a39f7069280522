"""GPT-2's weights, from KerasHub's backbone to the decoder's layout."""

from typing import Any

import keras_hub
import numpy as np

from stages.arrays import Array
from stages.lm.decoder import EMBEDDING, POSITIONS, Shape, Weights, fold_norm


def weights(backbone: keras_hub.models.GPT2Backbone, positions: int) -> Weights:
    """The weights of a GPT-2, with the first `positions` rows of its position table.

    Attention scores are divided by sqrt(head_dim) (Vaswani et al. 2017, eq. 1); the query's weights absorb it.
    """
    shape = Shape(
        layers=backbone.num_layers,
        heads=backbone.num_heads,
        head_dim=backbone.hidden_dim // backbone.num_heads,
        vocabulary=backbone.vocabulary_size,
        context=backbone.max_sequence_length,
        epsilon=backbone.layer_norm.epsilon,
    )
    matrices = {
        EMBEDDING: _array(backbone.token_embedding.embeddings),
        POSITIONS: _array(backbone.position_embedding.position_embeddings)[:positions],
    }
    norm = backbone.layer_norm
    vectors = {"norm_gamma": _array(norm.gamma), "head_bias": matrices[EMBEDDING] @ _array(norm.beta)}
    for i, layer in enumerate(backbone.transformer_layers):
        for name, (matrix, bias) in _layer(layer, shape).items():
            matrices[f"layer_{i}/{name}"] = np.ascontiguousarray(matrix)
            vectors[f"layer_{i}/{name}_bias"] = bias
    return Weights(shape, matrices, vectors)


def _layer(layer: Any, shape: Shape) -> dict[str, tuple[Array, Array]]:
    """A transformer layer's matrices and biases, its two norms folded into what follows them."""
    attention = layer._self_attention_layer
    parts = [attention.query_dense, attention.key_dense, attention.value_dense]
    scales = [np.float32(1 / np.sqrt(shape.head_dim)), np.float32(1), np.float32(1)]
    kernels = [_array(p.kernel).reshape(shape.hidden, shape.hidden).T * s for p, s in zip(parts, scales, strict=True)]
    biases = [_array(p.bias).reshape(shape.hidden) * s for p, s in zip(parts, scales, strict=True)]
    up, down = layer._feedforward_intermediate_dense, layer._feedforward_output_dense
    before_attention, before_feedforward = layer._self_attention_layer_norm, layer._feedforward_layer_norm
    return {
        "qkv": _folded(np.concatenate(kernels), np.concatenate(biases), before_attention),
        "attention_output": (
            _array(attention.output_dense.kernel).reshape(shape.hidden, shape.hidden).T,
            _array(attention.output_dense.bias),
        ),
        "feedforward_up": _folded(_array(up.kernel).T, _array(up.bias), before_feedforward),
        "feedforward_down": (_array(down.kernel).T, _array(down.bias)),
    }


def _folded(matrix: Array, bias: Array, norm: Any) -> tuple[Array, Array]:
    return fold_norm(matrix, bias, _array(norm.gamma), _array(norm.beta))


def _array(variable: object) -> Array:
    return np.asarray(variable, np.float32)
