"""UTF-8 (RFC 3629) in integer operations that every TensorFlow Lite runtime has built in."""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Characters:
    """Of each byte of a text `[N]`: whether a character begins there, whether it is part of one, its code point.

    A byte that is part of no character, in text that is no UTF-8, begins one of its own and is not `valid`. `point`
    holds at the first bytes of valid characters alone.
    """

    lead: tf.Tensor
    valid: tf.Tensor
    point: tf.Tensor


def characters(text: tf.Tensor) -> Characters:
    """The characters of bytes, int32 `[N]`; behind the text's end there must be zeros.

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
    # neither what fewer bytes can say nor surrogates
    of3 = tf.logical_and(of3, tf.logical_and(point3 >= 0x800, tf.logical_not(_between(point3, 0xD800, 0xDFFF))))
    of4 = tf.logical_and(tf.logical_and(tf.logical_and(_between(text, 0xF0, 0xF4), one), two), three)
    of4 = tf.logical_and(of4, _between(point4, 0x10000, 0x10FFFF))
    short, long = tf.logical_or(of3, of4), tf.logical_or(tf.logical_or(of2, of3), of4)
    inner = tf.logical_or(shift_bool(long, 1), tf.logical_or(shift_bool(short, 2), shift_bool(of4, 3)))
    point = tf.where(of2, point2, tf.where(of3, point3, tf.where(of4, point4, text)))
    return Characters(tf.logical_not(inner), tf.logical_or(text < 0x80, tf.logical_or(long, inner)), point)


def _between(x: tf.Tensor, least: int, most: int) -> tf.Tensor:
    return tf.logical_and(x >= least, x <= most)


def shift(x: tf.Tensor, by: int, fill: int) -> tf.Tensor:
    """`x` moved right by `by` places (left where negative), int32 `[N]`."""
    edge = tf.fill([abs(by)], tf.constant(fill, tf.int32))
    kept = tf.slice(x, [max(-by, 0)], [x.shape[0] - abs(by)])  # SLICE copies whole blocks, STRIDED_SLICE one by one
    return tf.concat([edge, kept] if by > 0 else [kept, edge], 0)


def shift_bool(x: tf.Tensor, by: int) -> tf.Tensor:
    """`x` moved likewise, bool `[N]`, filled up with False."""
    return shift(tf.cast(x, tf.int32), by, 0) > 0


def places_of(kept: tf.Tensor) -> tf.Tensor:
    """Where what is kept, bool `[N]`, goes when it moves together, int32 `[N, 1]`; the rest goes to N."""
    return tf.expand_dims(tf.where(kept, tf.cumsum(tf.cast(kept, tf.int32)) - 1, kept.shape[0]), 1)


def moved(x: tf.Tensor, places: tf.Tensor, size: int | None = None) -> tf.Tensor:
    """`x`, int32 `[N]`, at other places, `[N, 1]`, of `[size]`, N unless told.

    What goes to one place is added up, what goes to `size` left out, and where nothing goes there is 0.
    """
    size = size or x.shape[0]
    return tf.slice(tf.scatter_nd(places, x, [size + 1]), [0], [size])
