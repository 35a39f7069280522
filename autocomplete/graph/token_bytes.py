"""What tokens say, as bytes: one table of all tokens in order of their bytes, and the texts that ids make."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from autocomplete.common.arrays import Array
from autocomplete.graph.bpe import lookup
from autocomplete.graph.bpe_tables import Column, column
from autocomplete.graph.utf8 import characters, moved, places_of


@dataclass(frozen=True)
class TokenBytes:
    """The bytes of each token: those of id i are `text[starts[p]:starts[p + 1]]` with p = `places[i]`.

    Places rise with the bytes, but for the first `hidden` ones, which are of tokens that are never said or say nothing.
    So tokens that begin alike have places in a row.
    """

    places: Column
    starts: Column
    text: Array
    hidden: int

    @property
    def count(self) -> int:
        """How many tokens there are."""
        return len(self.places.values)


def table(pieces: Sequence[bytes], size: int, suppressed: Collection[int] = ()) -> TokenBytes:
    """The table of tokens by id; `size` is the model's vocabulary, which may have room for more than there are."""
    said = [*pieces, *[b""] * (size - len(pieces))]
    never = {i for i, piece in enumerate(said) if not piece} | set(suppressed)
    order = sorted(range(len(said)), key=lambda i: (i not in never, said[i], i))
    places = np.empty(len(said), np.int64)
    places[order] = np.arange(len(said))
    starts = np.cumsum([0, *(len(said[i]) for i in order)])
    text = np.frombuffer(b"".join(said[i] for i in order), np.uint8)
    return TokenBytes(column(places), column(starts), text, len(never))


def text_of(
    ids: tf.Tensor, first: tf.Tensor, count: tf.Tensor, tokens: TokenBytes, room: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The bytes that the ids from `first` on to the `count`-th make, of int32 `[n]`.

    Returns:
      int32 `[room]`, the bytes, then zeros; int32 `[]`, how many they are; what there is no room for is left out.
    """
    inside = tf.logical_and(tf.range(ids.shape[0]) >= first, tf.range(ids.shape[0]) < count)
    place = lookup(tokens.places, ids)
    begins = lookup(tokens.starts, place)
    sizes = tf.where(inside, lookup(tokens.starts, place + 1) - begins, 0)
    ends = tf.cumsum(sizes)
    # at each byte how many tokens end before it: that is the token that it belongs to
    ended = moved(tf.ones_like(ends), tf.expand_dims(tf.minimum(ends, room), 1), room)
    token = tf.minimum(tf.cumsum(ended), ids.shape[0] - 1)
    byte = tf.range(room)
    length = tf.minimum(ends[-1], room)
    places = tf.gather(begins - ends + sizes, token) + byte
    found = tf.gather(tokens.text, tf.where(byte < length, places, 0))
    return tf.where(byte < length, tf.cast(found, tf.int32), 0), length


def without_invalid(text: tf.Tensor, first: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """UTF-8 from byte `first` on to the `length`-th, of int32 `[N]`, without the bytes that are part of no character.

    A character that is cut at the end is left out likewise.

    Returns:
      int32 `[N]`, the bytes, then zeros; int32 `[]`, how many they are.
    """
    size = text.shape[0]
    inside = tf.logical_and(tf.range(size) >= first, tf.range(size) < length)
    kept = tf.logical_and(inside, characters(tf.where(inside, text, 0)).valid)
    return moved(text, places_of(kept)), tf.reduce_sum(tf.cast(kept, tf.int32))
