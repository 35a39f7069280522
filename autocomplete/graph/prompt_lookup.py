"""Guesses of the next tokens from the text itself: what stood behind the last two tokens when they stood there before.

Prompt lookup decoding (Saxena 2023). Documents about code repeat names and phrases, and so do small models.
"""

from collections.abc import Sequence

import tensorflow as tf

from autocomplete.graph import sampler


def guess(ids: tf.Tensor, known: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Guesses the tokens behind the known ones.

    Args:
      ids: int32 `[n]`.
      known: int32 `[]`, how many of the ids count, from 1 to n.
      count: how many to guess.

    Returns:
      int32 `[n]`, `ids` with up to `count` guesses from `known` on (if there are none, with whatever is there); bool
      `[]`, whether the last two tokens stood there before. Where what followed them then reaches the text's end, it
      begins again: a text that goes round in a circle.
    """
    places = tf.range(ids.shape[0])
    ends = tf.gather(ids, tf.maximum(known - tf.constant([2, 1]), 0))
    pairs = tf.logical_and(tf.equal(ids[:-1], ends[0]), tf.equal(ids[1:], ends[1]))
    # the last place before the end where the pair stands; what followed it begins two later
    start = tf.reduce_max(tf.where(tf.logical_and(pairs, places[:-1] + 2 < known), places[:-1] + 2, 0))
    found = start > 0
    period = tf.maximum(known - start, 1)
    beyond = places - known
    guesses = tf.gather(ids, tf.where(beyond >= 0, start + tf.math.floormod(beyond, period), places))
    return tf.where(tf.logical_and(found, beyond < count), guesses, ids), found


def held(tokens: tf.Tensor, ids: tf.Tensor, known: tf.Tensor, ends: Sequence[int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Keeps what the model says of guesses that it read.

    Args:
      tokens: int32 `[rows]`, what it says behind the last known token and behind each guess that was read.
      ids: int32 `[n]`, with rows - 1 guesses from `known` on.
      known: int32 `[]`, how many of the ids count.
      ends: the ids that end a text.

    Returns:
      int32 `[n]`, `ids` with what is said: tokens, up to the first that is not the guess in its place, as those behind
      it were said of another text, or the first of `ends`; int32 `[]`, how many ids count now. Whatever stands
      behind these counts for nothing.
    """
    places, last = tf.range(ids.shape[0]), known + tf.shape(tokens)[0] - 1
    said = tf.gather(tokens, tf.clip_by_value(places - known, 0, last - known))
    stops = tf.logical_or(tf.not_equal(said, ids), sampler.any_of(said, ends))
    stop = tf.reduce_min(tf.where(tf.logical_and(places >= known, stops), places, last))
    after = tf.minimum(stop, last) + 1
    return tf.where(tf.logical_and(places >= known, places < after), said, ids), after
