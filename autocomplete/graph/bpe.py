"""Byte-pair encoding in integer operators that every TensorFlow Lite runtime has built in.

Shapes: N symbols or bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from autocomplete.common.arrays import Array
from autocomplete.graph.bpe_tables import CompactInts, MergeTable
from autocomplete.graph.utf8 import compacted_places, scatter, shift, shift_bool

# (UTF-8 bytes, int32 [N]; which of them are the text, bool [N]) → whether a word begins at each, bool [N]
Split = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

NO_MERGE = np.int32(2**31 - 1)


@dataclass(frozen=True)
class Symbols:
    """What is merged.

    Attributes:
      ids: int32 `[N]`, token ids; -1 where there is nothing.
      words: int32 `[N]`, the number of the word that each symbol is part of.
    """

    ids: tf.Tensor
    words: tf.Tensor


def encode(
    text: tf.Tensor, length: tf.Tensor, byte_ids: Array, split: Split, merges: MergeTable
) -> tuple[tf.Tensor, tf.Tensor]:
    """Token ids of UTF-8 bytes by a byte-level BPE without added tokens.

    Args:
      text: int32 `[N]`, N static, of which the first `length` are the bytes of the text.
      length: int32 `[]`.
      byte_ids: token id of each byte, -1 for a byte that is dropped.
      split: the pre-tokenizer.
      merges: the merges.

    Returns:
      Ids int32 `[N]`, and their number int32 `[]`.
    """
    is_text = tf.range(text.shape[0]) < length
    text = tf.where(is_text, text, 0)
    words = tf.cumsum(tf.cast(split(text, is_text), tf.int32)) - 1
    return merge(Symbols(tf.where(is_text, tf.gather(byte_ids, text), -1), words), merges)


def merge(symbols: Symbols, merges: MergeTable) -> tuple[tf.Tensor, tf.Tensor]:
    """Merges, in every word at once, all places of its pair of lowest rank, until no pair is left.

    This equals merging the places one by one if a merged token is part of merges of higher rank only. For other merges
    (`merges.one_by_one`), only the first place of a word is merged. Of places that overlap, in a run of one token,
    every second one is merged, from the left.

    Returns:
      Ids int32 `[N]`, and their number int32 `[]`.
    """
    size = symbols.ids.shape[0]
    position = tf.range(size)
    is_symbol = symbols.ids >= 0
    places = compacted_places(is_symbol)

    def step(ids: tf.Tensor, words: tf.Tensor, count: tf.Tensor, _: tf.Tensor) -> list[tf.Tensor]:
        is_pair = tf.logical_and(position + 1 < count, tf.equal(words, shift(words, -1, -1)))
        rank = tf.where(is_pair, merge_ranks(ids, shift(ids, -1, 0), merges), NO_MERGE)
        word = tf.where(position < count, words, 0)
        best = tf.gather(tf.math.unsorted_segment_min(rank, word, size), word)
        is_lowest = tf.logical_and(tf.equal(rank, best), rank < NO_MERGE)
        is_merged = _every_second(is_lowest)
        if merges.one_by_one is not None:
            first = tf.math.unsorted_segment_min(tf.where(is_lowest, position, size), word, size)
            one_by_one = lookup(merges.one_by_one, tf.where(is_lowest, rank, 0)) > 0
            is_first = tf.logical_and(is_lowest, tf.equal(position, tf.gather(first, word)))
            is_merged = tf.logical_or(is_first, tf.logical_and(is_merged, tf.logical_not(one_by_one)))
        ids = tf.where(is_merged, lookup(merges.merged, tf.where(is_merged, rank, 0)), ids)
        is_kept = tf.logical_and(position < count, tf.logical_not(shift_bool(is_merged, 1)))
        places = compacted_places(is_kept)
        compacted = [scatter(ids, places), scatter(words, places)]
        return [*compacted, tf.reduce_sum(tf.cast(is_kept, tf.int32)), tf.reduce_any(is_merged)]

    compacted = [scatter(symbols.ids, places), scatter(symbols.words, places)]
    state = [*compacted, tf.reduce_sum(tf.cast(is_symbol, tf.int32)), tf.constant(True)]
    ids, _, count, _ = tf.while_loop(lambda ids, words, count, goes_on: goes_on, step, state)
    return ids, count


def _every_second(flags: tf.Tensor) -> tf.Tensor:
    """The first, third, … flag of each run, bool `[N]`."""
    position = tf.range(flags.shape[0])
    run = position - tf.cumsum(tf.cast(flags, tf.int32)) + 1  # the same in a run and at the place before it
    starts = tf.math.unsorted_segment_min(tf.where(flags, position, NO_MERGE), run, flags.shape[0] + 1)
    return tf.logical_and(flags, tf.equal(tf.math.floormod(position - tf.gather(starts, run), 2), 0))


def merge_ranks(left: tf.Tensor, right: tf.Tensor, merges: MergeTable) -> tf.Tensor:
    """The rank of the merge of each pair, int32 `[N]`; `NO_MERGE` for no merge."""
    bucket = tf.math.floormod(left * merges.multiplier + right, merges.buckets)
    entries = tf.expand_dims(lookup(merges.starts, bucket), 1) + tf.range(merges.width)
    same_left = tf.equal(lookup(merges.left, entries), tf.expand_dims(left, 1))
    same = tf.logical_and(same_left, tf.equal(lookup(merges.right, entries), tf.expand_dims(right, 1)))
    return tf.reduce_min(tf.where(same, lookup(merges.rank, entries), NO_MERGE), axis=1)


def lookup(numbers: CompactInts, indices: tf.Tensor) -> tf.Tensor:
    """The numbers at some indices, int32."""
    values = tf.cast(tf.gather(numbers.values, indices), tf.int32)
    return values + numbers.offset if numbers.offset else values
