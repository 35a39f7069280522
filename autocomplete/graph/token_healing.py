"""Token healing: takes the prompt's last tokens back, and makes the first new token begin with their bytes.

A tokenizer cuts "retur" into other tokens than "returns". A model that has read the tokens of "retur" seldom continues
with the rest of "returns", as in its training another token stood there. So as many tokens are taken back as together
are the beginning of a single token. The model then chooses that token, or another with the same beginning.

Shapes: n ids, L rows of logits, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from autocomplete.graph import sampler
from autocomplete.graph.bpe import lookup
from autocomplete.graph.token_bytes import TokenBytes, text_of
from autocomplete.graph.utf8 import shift

# (logits [L, V], position of the token that the first row predicts) → logits
ConstrainLogits = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
_MAX_TOKENS = 8  # that are taken back
_MAX_BYTES = 30  # of these tokens: as many powers of 2 add up within int32
_BLANK = 0x20


@dataclass(frozen=True)
class HealedPrompt:
    """A prompt whose last tokens were taken back; all int32 `[]`.

    Attributes:
      length: how many of its tokens are left.
      removed_bytes: how many bytes were taken back.
      first_place: the tokens that begin with these bytes have places (token_bytes.py) from here on; all tokens have
        places if nothing was taken back.
      end_place: the place behind the last of them.
    """

    length: tf.Tensor
    removed_bytes: tf.Tensor
    first_place: tf.Tensor
    end_place: tf.Tensor


def take_back(ids: tf.Tensor, count: tf.Tensor, enabled: tf.Tensor, tokens: TokenBytes) -> HealedPrompt:
    """Takes back the last tokens of a prompt.

    A token that begins with a blank begins a word, so none before it is taken back. Nor are tokens without text. If no
    token that may be chosen has the beginning, fewer tokens are taken back, or none.

    Args:
      ids: int32 `[n]`.
      count: int32 `[]`, how many of the ids are the prompt.
      enabled: bool `[]`; False takes nothing back.
      tokens: the bytes of all tokens.
    """
    beginnings, sizes = _last_tokens(ids, count, tokens)
    first, end = _ranges(beginnings, sizes, enabled, tokens)
    num_taken = tf.reduce_max(tf.where(first < end, tf.range(1, _MAX_TOKENS + 1), 0))
    is_any, row = num_taken > 0, tf.maximum(num_taken - 1, 0)
    return HealedPrompt(
        count - num_taken,
        tf.where(is_any, tf.gather(sizes, row), 0),
        tf.where(is_any, tf.gather(first, row), 0),
        tf.where(is_any, tf.gather(end, row), tokens.count),
    )


def prefix_constraint(healed: HealedPrompt, position: tf.Tensor, tokens: TokenBytes) -> ConstrainLogits:
    """What suppresses tokens without the prefix where the token at `position`, int32 `[]`, is chosen."""
    places = lookup(tokens.places, tf.range(tokens.count))
    is_allowed = tf.logical_and(places >= healed.first_place, places < healed.end_place)
    mask = tf.where(is_allowed, 0.0, sampler.SUPPRESSED_LOGIT)

    def constrain(logits: tf.Tensor, first_position: tf.Tensor) -> tf.Tensor:
        positions = first_position + tf.range(logits.shape[0] or tf.shape(logits)[0])
        return logits + tf.expand_dims(tf.cast(tf.equal(positions, position), tf.float32), 1) * mask

    return constrain


def _last_tokens(ids: tf.Tensor, count: tf.Tensor, tokens: TokenBytes) -> tuple[tf.Tensor, tf.Tensor]:
    """The bytes of the last 1, 2, … tokens together.

    Returns:
      int32 `[_MAX_TOKENS, _MAX_BYTES]`, the bytes, then -1; int32 `[_MAX_TOKENS]`, how many bytes, 0 for tokens that
      are not taken back together.
    """
    from_end = tf.range(_MAX_TOKENS)
    last = tf.gather(ids, tf.maximum(count - 1 - from_end, 0))
    place = lookup(tokens.places, last)
    starts = lookup(tokens.starts, place)
    sizes = lookup(tokens.starts, place + 1) - starts
    begins_word = tf.equal(tf.cast(tf.gather(tokens.text, starts), tf.int32), _BLANK)
    is_excluded = tf.logical_or(from_end >= count, tf.equal(sizes, 0))
    is_before_word = shift(tf.cast(begins_word, tf.int32), 1, 0)
    total_sizes = tf.cumsum(tf.minimum(sizes, _MAX_BYTES + 1))
    is_reachable = tf.equal(tf.cumsum(tf.cast(is_excluded, tf.int32) + is_before_word), 0)
    fits = tf.logical_and(is_reachable, total_sizes <= _MAX_BYTES)
    sizes = tf.where(fits, total_sizes, 0)
    longest = tf.reduce_max(sizes)
    num_fitting = tf.reduce_sum(tf.cast(fits, tf.int32))
    text, _ = text_of(tf.reverse(last, [0]), _MAX_TOKENS - num_fitting, tf.constant(_MAX_TOKENS), tokens, _MAX_BYTES)
    byte = tf.range(_MAX_BYTES)
    source = tf.minimum(tf.expand_dims(longest - sizes, 1) + byte, _MAX_BYTES - 1)
    return tf.where(byte < tf.expand_dims(sizes, 1), tf.gather(text, source), -1), sizes


def _ranges(
    beginnings: tf.Tensor, sizes: tf.Tensor, enabled: tf.Tensor, tokens: TokenBytes
) -> tuple[tf.Tensor, tf.Tensor]:
    """The places of the tokens that start with each beginning: the first place, and the one behind the last.

    A binary search of both bounds of all beginnings at once. The result is int32 `[_MAX_TOKENS]` each.
    """
    wanted = tf.concat([beginnings, beginnings], 0)
    is_upper = tf.concat([tf.zeros([_MAX_TOKENS], tf.int32), tf.ones([_MAX_TOKENS], tf.int32)], 0)
    weights = tf.constant([2 ** (_MAX_BYTES - 1 - i) for i in range(_MAX_BYTES)])
    byte = tf.range(_MAX_BYTES)
    is_searched = tf.logical_and(enabled, tf.concat([sizes, sizes], 0) > 0)

    def halve(low: tf.Tensor, high: tf.Tensor) -> list[tf.Tensor]:
        middle = (low + high) // 2
        starts = lookup(tokens.starts, middle)
        ends = lookup(tokens.starts, tf.minimum(middle + 1, tokens.count))
        places = tf.expand_dims(starts, 1) + byte
        is_inside = places < tf.expand_dims(ends, 1)
        token = tf.where(is_inside, tf.cast(tf.gather(tokens.text, tf.where(is_inside, places, 0)), tf.int32), -1)
        difference = tf.cast(token > wanted, tf.int32) - tf.cast(token < wanted, tf.int32)
        # The first byte that differs outweighs all behind it. Bytes behind the beginning do not count.
        order = tf.reduce_sum(tf.where(wanted >= 0, difference, 0) * weights, 1)
        goes_right = tf.logical_and(order < is_upper, low < high)
        return [tf.where(goes_right, middle + 1, low), tf.where(goes_right, high, middle)]

    low = tf.fill([2 * _MAX_TOKENS], tokens.num_hidden)
    high = tf.where(is_searched, tokens.count, tokens.num_hidden)
    bounds, _ = tf.while_loop(lambda low, high: tf.reduce_any(low < high), halve, [low, high])
    first, end = tf.split(bounds, 2)
    return first, end
