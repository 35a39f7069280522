"""Attention over earlier tokens, with a KV cache of fixed size or with one in two parts, `past` and `recent`.

The first is LiteRT-LM's contract. The second is for the loop inside the graph: steps write to a short `recent`, and a
long `past` is not copied meanwhile. A token then costs what its position asks for, not what the cache could hold.

Shapes: T tokens read, H query heads, K key and value heads, D head size, S slots of a fixed cache, P slots of `past`,
R slots of `recent`. The batch is always 1.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

from autocomplete.model.config import DecoderConfig
from autocomplete.model.decoder import Attend, soft_capped

# What LiteRT-LM adds to the scores of slots that a token must not see.
MASKED = float(np.float32(-0.7 * np.finfo(np.float32).max))

Cache = dict[str, tf.Tensor]
SlotCount: TypeAlias = int | tf.Tensor | None  # static, known when the graph runs, or unknown
KeysValues = tuple[tf.Tensor, tf.Tensor]
MatMul = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
SLOT_AXES = (3, 2)  # of keys and of values in `past` and `recent`


def cache_names(num_layers: int, prefix: str = "kv_cache") -> list[str]:
    """The names of a cache's tensors, keys and then values, layer by layer."""
    return [f"{prefix}_{kind}_{i}" for i in range(num_layers) for kind in "kv"]


def cache_shapes(config: DecoderConfig, slots: SlotCount) -> list[list[SlotCount]]:
    """The shapes of `past` or `recent`: keys `[1, K, D, slots]` and values `[1, K, slots, D]`, layer by layer.

    Each is laid out `[in, out]` for its matrix product.
    """
    keys, values = [1, config.num_kv_heads, config.head_dim, slots], [1, config.num_kv_heads, slots, config.head_dim]
    return [keys, values] * config.num_layers


def empty_cache(config: DecoderConfig, slots: SlotCount) -> list[tf.Tensor]:
    """Zeros of these shapes; all layers name the same two tensors."""
    return [tf.zeros(shape) for shape in cache_shapes(config, slots)[:2]] * config.num_layers


def over_fixed_cache(
    cache: KeysValues, input_pos: tf.Tensor, mask: tf.Tensor, soft_cap: float | None
) -> tuple[Attend, list[tf.Tensor]]:
    """Attention over keys and values `[1, K, S, D]`; adds `mask` float32 `[1, 1, T, S]` to the scores.

    Returns:
      The attention, and a list that its first call fills with the updated keys and values.
    """
    updated: list[tf.Tensor] = []

    def attend(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
        updated.extend(_write(old, new, input_pos) for old, new in zip(cache, (key, value), strict=True))
        weights = tf.nn.softmax(soft_capped(tf.matmul(query, updated[0], transpose_b=True), soft_cap) + mask)
        return tf.matmul(weights, updated[1])

    return attend, updated


def _write(cache: tf.Tensor, new: tf.Tensor, input_pos: tf.Tensor) -> tf.Tensor:
    """The cache with `new` in the T slots from `input_pos[0]` on; slots past the end are dropped.

    DYNAMIC_UPDATE_SLICE moves a block that reaches past the end back over older slots. One token always fits. Several
    tokens (a padded last chunk) may not, so each slot then selects its own source.
    """
    if new.shape[2] == 1:
        zero = tf.constant(0, tf.int32)
        start = tf.stack([zero, zero, input_pos[0], zero])
        return xla.dynamic_update_slice(cache, new, start)
    source = tf.range(cache.shape[2]) - input_pos[0]
    is_written = tf.logical_and(source >= 0, source < new.shape[2])
    sources = tf.gather(new, tf.clip_by_value(source, 0, new.shape[2] - 1), axis=2)
    return tf.where(is_written[tf.newaxis, tf.newaxis, :, tf.newaxis], sources, cache)


@dataclass(frozen=True)
class StepMasks:
    """What T tokens see of `past` and `recent`, and where they are written.

    Attributes:
      recent_mask: float32 `[1, 1, T, R]`, added to the scores.
      past_mask: float32 `[1, 1, 1, P]` or `[1, 1, T, P]`, added to the scores.
      write_mask: float32 `[1, 1, R, 1]`, 1 in the slots of `recent` that are written: all of them if T is R, or the one
        slot of a single token.
      static_shapes: whether every size is known when the graph is made.
      soft_cap: bound of the scores; None for no bound.
    """

    recent_mask: tf.Tensor
    past_mask: tf.Tensor
    write_mask: tf.Tensor
    static_shapes: bool
    soft_cap: float | None


def over_past_and_recent(recent: KeysValues, past: KeysValues, masks: StepMasks) -> tuple[Attend, list[tf.Tensor]]:
    """Attention over P slots of `past` and R slots of `recent`.

    Slots hold zeros until they are written, so a multiplication and an addition write them. These operators stay in one
    XNNPACK partition with those around them; DYNAMIC_UPDATE_SLICE would not.

    Returns:
      The attention, and a list that its first call fills with the updated keys and values of `recent`.
    """
    updated: list[tf.Tensor] = []

    def attend(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
        triples = zip(recent, (key, value), SLOT_AXES, strict=True)
        updated.extend(_add(old, new, masks.write_mask, axis) for old, new, axis in triples)
        parts = [(*updated, masks.recent_mask), (*past, masks.past_mask)]
        matmul = _matmul_for(query.shape[2]) if masks.static_shapes else tf.matmul
        scores = [soft_capped(matmul(query, keys), masks.soft_cap) + mask for keys, _, mask in parts]
        combine = _softmax_over_concatenated if masks.static_shapes else _softmax_over_parts
        return combine(scores, [values for _, values, _ in parts], matmul)

    return attend, updated


def _add(old: tf.Tensor, new: tf.Tensor, write_mask: tf.Tensor, slot_axis: int) -> tf.Tensor:
    """The slots plus `new` `[1, K, T, D]` where the mask says so."""
    if slot_axis == 3:
        new, write_mask = tf.transpose(new, [0, 1, 3, 2]), tf.reshape(write_mask, [1, 1, 1, -1])
    return old + write_mask * new


def _matmul_for(rows: int) -> MatMul:
    """How `rows` of a head, in tensors of static shape, are multiplied by its keys or values.

    XNNPACK packs the right matrix of a BATCH_MATMUL anew in each call. One row is multiplied and summed instead, which
    reads keys and values once. For several rows packing pays; TF 2.18 packs a matrix `[in, out]` six times as slowly as
    it transposes it.
    """
    return _multiply_and_sum if rows == 1 else _matmul_transposed


def _multiply_and_sum(row: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """The product of `[1, K, 1, in]` and `[1, K, in, out]`."""
    return tf.reduce_sum(tf.reshape(row, [1, row.shape[1], row.shape[3], 1]) * right, 2, keepdims=True)


def _matmul_transposed(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """The product of `[1, K, rows, in]` and `[1, K, in, out]`."""
    return tf.matmul(left, tf.transpose(right, [0, 1, 3, 2]), transpose_b=True)


def _softmax_over_concatenated(scores: list[tf.Tensor], values: list[tf.Tensor], matmul: MatMul) -> tf.Tensor:
    """Attention over several parts of a cache: concatenates the scores, and splits the weights again.

    A split at a static place is cheap. Elsewhere it makes tensors of unknown size, which XNNPACK refuses.
    """
    weights = tf.split(tf.nn.softmax(tf.concat(scores, -1)), [s.shape[-1] for s in scores], -1)
    return tf.add_n([matmul(w, v) for w, v in zip(weights, values, strict=True)])


def _softmax_over_parts(scores: list[tf.Tensor], values: list[tf.Tensor], matmul: MatMul) -> tf.Tensor:
    """Attention over several parts of a cache, without a concatenation or a split.

    The weights are exp(s − m) divided by their sum over all parts, where m is the largest of all scores. They are
    probabilities, a range that a quantized product can rely on.
    """
    largest = functools.reduce(tf.maximum, [tf.reduce_max(s, -1, keepdims=True) for s in scores])
    weights = [tf.exp(s - largest) for s in scores]
    total = functools.reduce(tf.add, [tf.reduce_sum(w, -1, keepdims=True) for w in weights])
    inverse = 1.0 / total
    return functools.reduce(tf.add, [matmul(w * inverse, v) for w, v in zip(weights, values, strict=True)])
