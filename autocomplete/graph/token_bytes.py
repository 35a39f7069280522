"""The bytes of tokens: one table of all tokens, sorted by their bytes, and the texts that ids make.

Shapes: n ids, N bytes.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from autocomplete.common.arrays import Array
from autocomplete.graph.bpe import lookup
from autocomplete.graph.bpe_tables import CompactInts, compact_ints
from autocomplete.graph.utf8 import characters, compacted_places, scatter


@dataclass(frozen=True)
class TokenBytes:
    """The bytes of each token: those of id i are `text[starts[p]:starts[p + 1]]`, where p is `places[i]`.

    Attributes:
      places: by id, the place of the token in the order of bytes. Tokens with the same beginning are neighbours.
      starts: by place, where the token's bytes begin.
      text: the bytes of all tokens.
      num_hidden: the first so many places are those of tokens that have no bytes or are never chosen, in no order.
    """

    places: CompactInts
    starts: CompactInts
    text: Array
    num_hidden: int

    @property
    def count(self) -> int:
        """How many tokens there are."""
        return len(self.places.values)


def table(pieces: Sequence[bytes], size: int, suppressed: Collection[int] = ()) -> TokenBytes:
    """The table of tokens.

    Args:
      pieces: the bytes of each token, by id.
      size: rows of the model's vocabulary, which may be more than there are tokens.
      suppressed: ids that are never chosen.
    """
    padded = [*pieces, *[b""] * (size - len(pieces))]
    hidden = {i for i, piece in enumerate(padded) if not piece} | set(suppressed)
    order = sorted(range(len(padded)), key=lambda i: (i not in hidden, padded[i], i))
    places = np.empty(len(padded), np.int64)
    places[order] = np.arange(len(padded))
    starts = np.cumsum([0, *(len(padded[i]) for i in order)])
    text = np.frombuffer(b"".join(padded[i] for i in order), np.uint8)
    return TokenBytes(compact_ints(places), compact_ints(starts), text, len(hidden))


def text_of(
    ids: tf.Tensor, first: tf.Tensor, count: tf.Tensor, tokens: TokenBytes, max_bytes: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The bytes of ids, int32 `[n]`, from index `first` up to, and without, index `count`.

    Returns:
      int32 `[max_bytes]`, the bytes, then zeros; int32 `[]`, how many they are. Bytes behind `max_bytes` are left out.
    """
    is_used = tf.logical_and(tf.range(ids.shape[0]) >= first, tf.range(ids.shape[0]) < count)
    place = lookup(tokens.places, ids)
    starts = lookup(tokens.starts, place)
    sizes = tf.where(is_used, lookup(tokens.starts, place + 1) - starts, 0)
    ends = tf.cumsum(sizes)
    # The tokens that end at or before a byte number the token that it belongs to.
    num_ended = scatter(tf.ones_like(ends), tf.expand_dims(tf.minimum(ends, max_bytes), 1), max_bytes)
    token = tf.minimum(tf.cumsum(num_ended), ids.shape[0] - 1)
    byte = tf.range(max_bytes)
    length = tf.minimum(ends[-1], max_bytes)
    source = tf.gather(starts - ends + sizes, token) + byte
    text = tf.gather(tokens.text, tf.where(byte < length, source, 0))
    return tf.where(byte < length, tf.cast(text, tf.int32), 0), length


def without_invalid(text: tf.Tensor, first: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """UTF-8, int32 `[N]`, from index `first` up to `length`, without bytes that are part of no character.

    A character that is cut at the end is left out too.

    Returns:
      int32 `[N]`, the bytes, then zeros; int32 `[]`, how many they are.
    """
    size = text.shape[0]
    is_used = tf.logical_and(tf.range(size) >= first, tf.range(size) < length)
    is_kept = tf.logical_and(is_used, characters(tf.where(is_used, text, 0)).valid)
    return scatter(text, compacted_places(is_kept)), tf.reduce_sum(tf.cast(is_kept, tf.int32))
