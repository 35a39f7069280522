"""Byte-pair encoding in integer operations that every TensorFlow Lite runtime has built in."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from autocomplete.common.arrays import Array
from autocomplete.graph.bpe_tables import Column, MergeTable
from autocomplete.graph.utf8 import moved, places_of, shift, shift_bool

# (UTF-8 bytes, int32 [N]; which of them count, bool [N]) → whether a pre-token begins at each, bool [N]
Split = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

NO_MERGE = np.int32(2**31 - 1)


@dataclass(frozen=True)
class Symbols:
    """What is merged: token ids int32 `[N]`, -1 where there is none to merge, and the word that each is part of."""

    ids: tf.Tensor
    words: tf.Tensor


def encode(
    text: tf.Tensor, length: tf.Tensor, byte_ids: Array, split: Split, merges: MergeTable
) -> tuple[tf.Tensor, tf.Tensor]:
    """Token ids of UTF-8 bytes by a byte-level BPE without added tokens.

    Args:
      text: int32 `[N]`, N static, of which the first `length` are the bytes of the text.
      length: int32 `[]`.
      byte_ids: token id of each byte, -1 where it is dropped.
      split: the pre-tokenization.
      merges: the merges.

    Returns:
      int32 `[N]` ids and int32 `[]`, how many of them count.
    """
    inside = tf.range(text.shape[0]) < length
    text = tf.where(inside, text, 0)
    words = tf.cumsum(tf.cast(split(text, inside), tf.int32)) - 1
    return merge(Symbols(tf.where(inside, tf.gather(byte_ids, text), -1), words), merges)


def merge(symbols: Symbols, merges: MergeTable) -> tuple[tf.Tensor, tf.Tensor]:
    """Merges in every word at once all places of its pair of lowest rank, until no pair is left.

    This equals merging them one by one, as a merged token's own merges have higher ranks; where they have not
    (`merges.one_by_one`), the first place of a word alone is merged. Of places that overlap, in a run of one token,
    every second one is merged, from the left.

    Returns:
      int32 `[N]` ids and int32 `[]`, how many of them count.
    """
    size = symbols.ids.shape[0]
    position = tf.range(size)
    kept = symbols.ids >= 0
    places = places_of(kept)

    def step(ids: tf.Tensor, words: tf.Tensor, count: tf.Tensor, _: tf.Tensor) -> list[tf.Tensor]:
        paired = tf.logical_and(position + 1 < count, tf.equal(words, shift(words, -1, -1)))
        rank = tf.where(paired, ranks(ids, shift(ids, -1, 0), merges), NO_MERGE)
        inside = tf.where(position < count, words, 0)
        best = tf.gather(tf.math.unsorted_segment_min(rank, inside, size), inside)
        lowest = tf.logical_and(tf.equal(rank, best), rank < NO_MERGE)
        chosen = _every_second(lowest)
        if merges.one_by_one is not None:
            first = tf.math.unsorted_segment_min(tf.where(lowest, position, size), inside, size)
            alone = lookup(merges.one_by_one, tf.where(lowest, rank, 0)) > 0
            is_first = tf.logical_and(lowest, tf.equal(position, tf.gather(first, inside)))
            chosen = tf.logical_or(is_first, tf.logical_and(chosen, tf.logical_not(alone)))
        ids = tf.where(chosen, lookup(merges.merged, tf.where(chosen, rank, 0)), ids)
        kept = tf.logical_and(position < count, tf.logical_not(shift_bool(chosen, 1)))
        places = places_of(kept)
        return [moved(ids, places), moved(words, places), tf.reduce_sum(tf.cast(kept, tf.int32)), tf.reduce_any(chosen)]

    begun = [moved(symbols.ids, places), moved(symbols.words, places), tf.reduce_sum(tf.cast(kept, tf.int32))]
    ids, _, count, _ = tf.while_loop(lambda i, w, c, more: more, step, [*begun, tf.constant(True)])
    return ids, count


def _every_second(flags: tf.Tensor) -> tf.Tensor:
    """Of each run of flags, bool `[N]`, the first, third, … one."""
    position = tf.range(flags.shape[0])
    run = position - tf.cumsum(tf.cast(flags, tf.int32)) + 1  # the same in a run and at the place before it
    starts = tf.math.unsorted_segment_min(tf.where(flags, position, NO_MERGE), run, flags.shape[0] + 1)
    return tf.logical_and(flags, tf.equal(tf.math.floormod(position - tf.gather(starts, run), 2), 0))


def ranks(left: tf.Tensor, right: tf.Tensor, merges: MergeTable) -> tf.Tensor:
    """The rank of each pair's merge, int32 `[N]`; `NO_MERGE` where there is none."""
    bucket = tf.math.floormod(left * merges.multiplier + right, merges.buckets)
    entries = tf.expand_dims(lookup(merges.starts, bucket), 1) + tf.range(merges.width)
    same_left = tf.equal(lookup(merges.left, entries), tf.expand_dims(left, 1))
    same = tf.logical_and(same_left, tf.equal(lookup(merges.right, entries), tf.expand_dims(right, 1)))
    return tf.reduce_min(tf.where(same, lookup(merges.rank, entries), NO_MERGE), axis=1)


def lookup(column: Column, places: tf.Tensor) -> tf.Tensor:
    """A column's numbers at some places, int32."""
    found = tf.cast(tf.gather(column.values, places), tf.int32)
    return found + column.offset if column.offset else found
