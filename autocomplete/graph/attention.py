"""Attention over earlier tokens, in two forms: a KV cache of fixed size, and one that grows.

The fixed one is LiteRT-LM's contract. The growing one is for the loop inside the graph: a long `past`, which nothing
copies while some tokens are written to a short `recent`, so that a token costs what its position asks for, and not
what the cache could hold.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

from autocomplete.model.decoder import Attend, Shape, capped

# What LiteRT-LM adds to the scores of slots that a token must not see.
MASKED = float(np.float32(-0.7 * np.finfo(np.float32).max))

Cache = dict[str, tf.Tensor]
Slots: TypeAlias = int | tf.Tensor | None  # how many: known, known when it runs, or not yet
Pair = tuple[tf.Tensor, tf.Tensor]  # keys and values
Product = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
SLOT_AXES = (3, 2)  # of keys and of values in `past` and `recent`


def names(layers: int, prefix: str = "kv_cache") -> list[str]:
    """The names of a cache's tensors, layer by layer: keys, then values, each `[1, kv_heads, slots, head_dim]`."""
    return [f"{prefix}_{kind}_{i}" for i in range(layers) for kind in "kv"]


def sizes(shape: Shape, slots: Slots) -> list[list[Slots]]:
    """The shapes of `past` or `recent`: keys, then values, layer by layer, each `[in, out]` for its product."""
    keys, values = [1, shape.kv_heads, shape.head_dim, slots], [1, shape.kv_heads, slots, shape.head_dim]
    return [keys, values] * shape.layers


def empty(shape: Shape, slots: Slots) -> list[tf.Tensor]:
    """Zeros of these shapes; all layers name the same two tensors."""
    return [tf.zeros(size) for size in sizes(shape, slots)[:2]] * shape.layers


def fixed(cache: Pair, input_pos: tf.Tensor, mask: tf.Tensor, cap: float | None) -> tuple[Attend, list[tf.Tensor]]:
    """Attention over `[1, kv_heads, S, head_dim]` with `mask` float32 `[1, 1, T, S]` added to the scores.

    The second result is filled, when the first is called, with keys and values after T more tokens.
    """
    updated: list[tf.Tensor] = []

    def attend(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
        updated.extend(_write(old, new, input_pos) for old, new in zip(cache, (key, value), strict=True))
        weights = tf.nn.softmax(capped(tf.matmul(query, updated[0], transpose_b=True), cap) + mask)
        return tf.matmul(weights, updated[1])

    return attend, updated


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


@dataclass(frozen=True)
class Place:
    """Where T tokens stand among `recent` and `past`.

    Masks float32 `[1, 1, T, R]` and `[1, 1, 1, P]` are added to the scores; `slots` float32 `[1, 1, R, 1]` is 1 where
    the tokens are written (all R slots if T is R, or the one slot of a single token).

    With `fixed_shape` no size is unknown. `cap` bounds the scores softly.
    """

    recent_mask: tf.Tensor
    past_mask: tf.Tensor
    slots: tf.Tensor
    fixed_shape: bool
    cap: float | None


def growing(recent: Pair, past: Pair, place: Place) -> tuple[Attend, list[tf.Tensor]]:
    """Attention over P past slots and R recent ones; the second result is filled with recent keys and values.

    Written slots hold zeros before: a product and a sum write them, which stay in one partition with what is around
    them, where DYNAMIC_UPDATE_SLICE would not.
    """
    updated: list[tf.Tensor] = []

    def attend(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
        written = zip(recent, (key, value), SLOT_AXES, strict=True)
        updated.extend(_add(old, new, place.slots, axis) for old, new, axis in written)
        parts = [(*updated, place.recent_mask), (*past, place.past_mask)]
        product = _product_of(query.shape[2]) if place.fixed_shape else tf.matmul
        scores = [capped(product(query, k), place.cap) + mask for k, _, mask in parts]
        combine = _softmax_over_joined if place.fixed_shape else _softmax_over_parts
        return combine(scores, [v for _, v, _ in parts], product)

    return attend, updated


def _add(old: tf.Tensor, new: tf.Tensor, slots: tf.Tensor, axis: int) -> tf.Tensor:
    if axis == 3:
        new, slots = tf.transpose(new, [0, 1, 3, 2]), tf.reshape(slots, [1, 1, 1, -1])
    return old + slots * new


def _product_of(rows: int) -> Product:
    """How `rows` of a head, in tensors of fixed shape, are multiplied by its keys or values.

    XNNPACK packs the matrix on a product's right anew each time: one row is multiplied and summed instead, which reads
    keys and values once. For several rows packing pays; TF 2.18 packs what is laid out `[in, out]` six times as slowly
    as it turns it.
    """
    return _summed_product if rows == 1 else _turned_product


def _summed_product(row: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """`[1, heads, 1, in]` by `[1, heads, in, out]`."""
    return tf.reduce_sum(tf.reshape(row, [1, row.shape[1], row.shape[3], 1]) * right, 2, keepdims=True)


def _turned_product(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """`[1, heads, rows, in]` by `[1, heads, in, out]`."""
    return tf.matmul(left, tf.transpose(right, [0, 1, 3, 2]), transpose_b=True)


def _softmax_over_joined(scores: list[tf.Tensor], values: list[tf.Tensor], product: Product) -> tf.Tensor:
    """Attention over several parts as if they were one: their scores are joined, the weights cut where they join.

    Cutting is cheap at a place that the converter knows; else it makes tensors of unknown size, which XNNPACK refuses.
    """
    weights = tf.split(tf.nn.softmax(tf.concat(scores, -1)), [s.shape[-1] for s in scores], -1)
    return tf.add_n([product(w, v) for w, v in zip(weights, values, strict=True)])


def _softmax_over_parts(scores: list[tf.Tensor], values: list[tf.Tensor], product: Product) -> tf.Tensor:
    """Attention over several parts as if they were one, without joining or cutting any tensor.

    exp(s − m), where m is the largest score of all, divided by its sum over all parts: probabilities, whose range a
    quantized product can rely on.
    """
    largest = functools.reduce(tf.maximum, [tf.reduce_max(s, -1, keepdims=True) for s in scores])
    weights = [tf.exp(s - largest) for s in scores]
    total = functools.reduce(tf.add, [tf.reduce_sum(w, -1, keepdims=True) for w in weights])
    inverse = 1.0 / total
    mixed = [product(w * inverse, v) for w, v in zip(weights, values, strict=True)]
    return functools.reduce(tf.add, mixed)
