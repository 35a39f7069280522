"""Completing a word: the prompt's last tokens are taken back, and the first new token must begin with their bytes.

A tokenizer cuts "retur" into other tokens than "returns", so a model that has read the former's seldom says the rest of
the latter: it learnt that another token would have stood there. As many tokens are taken back as are the beginning of a
single one; that token, or another with the same beginning, is then said.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from autocomplete.graph import sampler
from autocomplete.graph.bpe import lookup
from autocomplete.graph.token_bytes import TokenBytes, text_of
from autocomplete.graph.utf8 import shift

Narrow = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
_MOST = 8  # tokens that are taken back
_LONGEST = 30  # bytes of them: as many powers of 2 add up within int32
_BLANK = 0x20


@dataclass(frozen=True)
class Beginning:
    """How a first new token must begin: `count` int32 `[]` of the prompt's tokens are left, `size` bytes taken back.

    The tokens that begin with these have places from `first` to before `last` (token_bytes.py), int32 `[]`. Where
    nothing is taken back, size is 0 and every token is among them.
    """

    count: tf.Tensor
    size: tf.Tensor
    first: tf.Tensor
    last: tf.Tensor


def take_back(ids: tf.Tensor, count: tf.Tensor, wanted: tf.Tensor, tokens: TokenBytes) -> Beginning:
    """Takes back the end of a prompt, int32 `[n]` ids of which `count` count, if bool `[]` `wanted` says so.

    A token that begins with a blank begins a word: none before it is taken back. Nor are tokens that say nothing. Where
    no token that may be said begins so, fewer are taken back, or none.
    """
    words, sizes = _last_tokens(ids, count, tokens)
    first, last = _ranges(words, sizes, wanted, tokens)
    taken = tf.reduce_max(tf.where(first < last, tf.range(1, _MOST + 1), 0))
    some, row = taken > 0, tf.maximum(taken - 1, 0)
    return Beginning(
        count - taken,
        tf.where(some, tf.gather(sizes, row), 0),
        tf.where(some, tf.gather(first, row), 0),
        tf.where(some, tf.gather(last, row), tokens.count),
    )


def narrowing(begun: Beginning, first: tf.Tensor, tokens: TokenBytes) -> Narrow:
    """What keeps tokens that begin otherwise from being said as the one behind `first` others, int32 `[]`.

    A function of logits `[rows, vocabulary]` and of how many tokens stand before the first row's.
    """
    places = lookup(tokens.places, tf.range(tokens.count))
    added = tf.where(tf.logical_and(places >= begun.first, places < begun.last), 0.0, sampler.NEVER)

    def narrow(logits: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        rows = known + tf.range(logits.shape[0] or tf.shape(logits)[0])
        return logits + tf.expand_dims(tf.cast(tf.equal(rows, first), tf.float32), 1) * added

    return narrow


def _last_tokens(ids: tf.Tensor, count: tf.Tensor, tokens: TokenBytes) -> tuple[tf.Tensor, tf.Tensor]:
    """What the last 1, 2, … tokens say together, int32 `[_MOST, _LONGEST]`, then -1; int32 `[_MOST]`, their bytes.

    No bytes stand for tokens that are not taken back together.
    """
    back = tf.range(_MOST)
    last = tf.gather(ids, tf.maximum(count - 1 - back, 0))
    place = lookup(tokens.places, last)
    begins = lookup(tokens.starts, place)
    sizes = lookup(tokens.starts, place + 1) - begins
    opens = tf.equal(tf.cast(tf.gather(tokens.text, begins), tf.int32), _BLANK)
    wrong = tf.logical_or(back >= count, tf.equal(sizes, 0))
    behind = shift(tf.cast(opens, tf.int32), 1, 0)  # of the tokens nearer to the end
    together = tf.cumsum(tf.minimum(sizes, _LONGEST + 1))
    fits = tf.logical_and(tf.equal(tf.cumsum(tf.cast(wrong, tf.int32) + behind), 0), together <= _LONGEST)
    sizes = tf.where(fits, together, 0)
    whole = tf.reduce_max(sizes)
    kept = tf.reduce_sum(tf.cast(fits, tf.int32))
    text, _ = text_of(tf.reverse(last, [0]), _MOST - kept, tf.constant(_MOST), tokens, _LONGEST)
    byte = tf.range(_LONGEST)
    from_end = tf.minimum(tf.expand_dims(whole - sizes, 1) + byte, _LONGEST - 1)
    return tf.where(byte < tf.expand_dims(sizes, 1), tf.gather(text, from_end), -1), sizes


def _ranges(words: tf.Tensor, sizes: tf.Tensor, wanted: tf.Tensor, tokens: TokenBytes) -> tuple[tf.Tensor, tf.Tensor]:
    """Of each word the first place whose token begins with it, and the first behind these, int32 `[_MOST]` each.

    A binary search, which halves what is left for all words at once.
    """
    asked = tf.concat([words, words], 0)
    upper = tf.concat([tf.zeros([_MOST], tf.int32), tf.ones([_MOST], tf.int32)], 0)
    weights = tf.constant([2 ** (_LONGEST - 1 - i) for i in range(_LONGEST)])
    byte = tf.range(_LONGEST)
    searched = tf.logical_and(wanted, tf.concat([sizes, sizes], 0) > 0)

    def halve(low: tf.Tensor, high: tf.Tensor) -> list[tf.Tensor]:
        middle = (low + high) // 2
        begins = lookup(tokens.starts, middle)
        ends = lookup(tokens.starts, tf.minimum(middle + 1, tokens.count))
        places = tf.expand_dims(begins, 1) + byte
        inside = places < tf.expand_dims(ends, 1)
        there = tf.where(inside, tf.cast(tf.gather(tokens.text, tf.where(inside, places, 0)), tf.int32), -1)
        differs = tf.cast(there > asked, tf.int32) - tf.cast(there < asked, tf.int32)
        # the first byte that differs outweighs all behind it; bytes behind the word do not count
        order = tf.reduce_sum(tf.where(asked >= 0, differs, 0) * weights, 1)
        right = tf.logical_and(order < upper, low < high)
        return [tf.where(right, middle + 1, low), tf.where(right, high, middle)]

    low = tf.fill([2 * _MOST], tokens.hidden)
    high = tf.where(searched, tokens.count, tokens.hidden)
    found, _ = tf.while_loop(lambda low, high: tf.reduce_any(low < high), halve, [low, high])
    first, last = tf.split(found, 2)
    return first, last
