"""UTF-8 (RFC 3629) in integer operators that every TensorFlow Lite runtime has built in.

Shapes: N bytes.
"""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Characters:
    """The characters of a text of N bytes. A byte that is part of no character counts as one by itself, not valid.

    Attributes:
      lead: bool `[N]`, whether a character begins at a byte.
      valid: bool `[N]`, whether a byte is part of a character.
      point: int32 `[N]`, code points, at the first bytes of valid characters only.
    """

    lead: tf.Tensor
    valid: tf.Tensor
    point: tf.Tensor


def characters(text: tf.Tensor) -> Characters:
    """The characters of bytes, int32 `[N]`; bytes behind the end of the text must be 0.

    Remainders stand for bit masks: TensorFlow Lite has no bitwise AND built in.
    """
    following = [shift(text, -i, 0) for i in (1, 2, 3)]
    one, two, three = (_between(byte, 0x80, 0xBF) for byte in following)
    b1, b2, b3 = (byte % 64 for byte in following)
    point2 = text % 32 * 64 + b1
    point3 = text % 16 * 4096 + b1 * 64 + b2
    point4 = text % 8 * 262144 + b1 * 4096 + b2 * 64 + b3
    of2 = tf.logical_and(_between(text, 0xC2, 0xDF), one)
    of3 = tf.logical_and(tf.logical_and(_between(text, 0xE0, 0xEF), one), two)
    # neither overlong forms nor surrogates
    of3 = tf.logical_and(of3, tf.logical_and(point3 >= 0x800, tf.logical_not(_between(point3, 0xD800, 0xDFFF))))
    of4 = tf.logical_and(tf.logical_and(tf.logical_and(_between(text, 0xF0, 0xF4), one), two), three)
    of4 = tf.logical_and(of4, _between(point4, 0x10000, 0x10FFFF))
    of3_or_4, of2_or_more = tf.logical_or(of3, of4), tf.logical_or(tf.logical_or(of2, of3), of4)
    is_continuation = tf.logical_or(
        shift_bool(of2_or_more, 1), tf.logical_or(shift_bool(of3_or_4, 2), shift_bool(of4, 3))
    )
    point = tf.where(of2, point2, tf.where(of3, point3, tf.where(of4, point4, text)))
    is_lead = tf.logical_not(is_continuation)
    is_valid = tf.logical_or(text < 0x80, tf.logical_or(of2_or_more, is_continuation))
    return Characters(is_lead, is_valid, point)


def _between(x: tf.Tensor, low: int, high: int) -> tf.Tensor:
    return tf.logical_and(x >= low, x <= high)


def shift(x: tf.Tensor, by: int, fill: int) -> tf.Tensor:
    """`x`, int32 `[N]`, shifted right by `by` places, or left if that is negative."""
    edge = tf.fill([abs(by)], tf.constant(fill, tf.int32))
    # SLICE copies blocks, STRIDED_SLICE one element at a time
    rest = tf.slice(x, [max(-by, 0)], [x.shape[0] - abs(by)])
    return tf.concat([edge, rest] if by > 0 else [rest, edge], 0)


def shift_bool(x: tf.Tensor, by: int) -> tf.Tensor:
    """`x`, bool `[N]`, shifted likewise and filled with False."""
    return shift(tf.cast(x, tf.int32), by, 0) > 0


def over_characters(flags: tf.Tensor, is_lead: tf.Tensor) -> tf.Tensor:
    """Flags of the first bytes of characters, repeated on all their bytes, bool `[N]`."""
    for _ in range(3):
        flags = tf.where(is_lead, flags, shift_bool(flags, 1))
    return flags


def compacted_places(is_kept: tf.Tensor) -> tf.Tensor:
    """The places, int32 `[N, 1]`, of kept elements, bool `[N]`, when they move together; the others have place N."""
    return tf.expand_dims(tf.where(is_kept, tf.cumsum(tf.cast(is_kept, tf.int32)) - 1, is_kept.shape[0]), 1)


def scatter(x: tf.Tensor, places: tf.Tensor, size: int | None = None) -> tf.Tensor:
    """`x`, int32 `[N]`, at other places, `[N, 1]`, of a result `[size]`; size is N by default.

    Elements of the same place are added, those of place `size` are left out, and places without an element hold 0.
    """
    size = size or x.shape[0]
    return tf.slice(tf.scatter_nd(places, x, [size + 1]), [0], [size])
