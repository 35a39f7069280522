"""Draft tokens from the text itself: the tokens that followed the last two when these occurred before.

Prompt lookup decoding (Saxena 2023). Text about code repeats names and phrases, and so do small models.

Shapes: n ids, L rows of logits.
"""

from collections.abc import Sequence

import tensorflow as tf

from autocomplete.graph import sampler


def draft(ids: tf.Tensor, length: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Drafts the tokens behind a text.

    Args:
      ids: int32 `[n]`.
      length: int32 `[]`, tokens of the text, from 1 to n.
      count: how many tokens to draft.

    Returns:
      The ids `[n]` with up to `count` draft tokens from `length` on, and whether the last two tokens occurred before,
      bool `[]`; if not, the ids are unchanged. A draft that reaches the end of the text goes round from its start.
    """
    places = tf.range(ids.shape[0])
    last_two = tf.gather(ids, tf.maximum(length - tf.constant([2, 1]), 0))
    is_pair = tf.logical_and(tf.equal(ids[:-1], last_two[0]), tf.equal(ids[1:], last_two[1]))
    # the place behind the last earlier occurrence of the pair
    start = tf.reduce_max(tf.where(tf.logical_and(is_pair, places[:-1] + 2 < length), places[:-1] + 2, 0))
    has_draft = start > 0
    period = tf.maximum(length - start, 1)
    offsets = places - length
    drafts = tf.gather(ids, tf.where(offsets >= 0, start + tf.math.floormod(offsets, period), places))
    return tf.where(tf.logical_and(has_draft, offsets < count), drafts, ids), has_draft


def accept(
    predicted: tf.Tensor, ids: tf.Tensor, length: tf.Tensor, end_token_ids: Sequence[int]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Accepts draft tokens up to the first that the model did not predict.

    Args:
      predicted: int32 `[L]`, the model's tokens behind the text and behind each of the L − 1 drafts that it read.
      ids: int32 `[n]`, the text and the drafts.
      length: int32 `[]`, tokens of the text.
      end_token_ids: the ids that end a text.

    Returns:
      The ids `[n]` with the predicted tokens behind the text, up to the first that differs from its draft or ends the
      text, and int32 `[]`, the length of the text now. Ids behind it mean nothing.
    """
    places, last = tf.range(ids.shape[0]), length + tf.shape(predicted)[0] - 1
    prediction = tf.gather(predicted, tf.clip_by_value(places - length, 0, last - length))
    is_stop = tf.logical_or(tf.not_equal(prediction, ids), sampler.is_any_of(prediction, end_token_ids))
    stop = tf.reduce_min(tf.where(tf.logical_and(places >= length, is_stop), places, last))
    extended = tf.minimum(stop, last) + 1
    return tf.where(tf.logical_and(places >= length, places < extended), prediction, ids), extended
