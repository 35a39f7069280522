"""Added tokens in a text, found in integer operations: of all that begin at a place the longest, from left to right.

As `tokenizers` finds them, by the leftmost-longest matches of its library aho-corasick.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from autocomplete.graph import bpe_tables
from autocomplete.graph.bpe import NO_MERGE, lookup, ranks
from autocomplete.graph.bpe_tables import Column, MergeTable
from autocomplete.graph.utf8 import moved, places_of, shift

_ROOT, _DEAD = 1, 0  # states; no byte leads out of the latter


@dataclass(frozen=True)
class Elements:
    """A text whose parts may be tokens already: `text` int32 `[N]`, bytes, 0 where a token stands.

    `token` int32 `[N]`, the ids of these, -1 where a byte is; `length` int32 `[]`, how many places count.
    """

    text: tf.Tensor
    token: tf.Tensor
    length: tf.Tensor

    @property
    def is_byte(self) -> tf.Tensor:
        """Where a byte of the text is, bool `[N]`."""
        return tf.logical_and(tf.range(self.text.shape[0]) < self.length, self.token < 0)


def elements(text: tf.Tensor, length: tf.Tensor) -> Elements:
    """A text without tokens yet, int32 `[N]` bytes of which `length` count."""
    text = tf.where(tf.range(text.shape[0]) < length, text, 0)
    return Elements(text, tf.fill([text.shape[0]], -1), length)


@dataclass(frozen=True)
class Trie:
    """Added tokens as a trie: the state behind a state and a byte, and of each state the token that ends there."""

    steps: MergeTable
    tokens: Column


def trie(added: Mapping[bytes, int]) -> Trie:
    """The trie of added tokens, their bytes → ids."""
    states = {b"": _ROOT}
    steps: list[tuple[int, int, int]] = []
    for text in added:
        for end in range(1, len(text) + 1):
            if text[:end] not in states:
                states[text[:end]] = len(states) + 1
                steps.append((states[text[: end - 1]], text[end - 1], states[text[:end]]))
    tokens = np.full(len(states) + 1, -1)
    for text, index in added.items():
        tokens[states[text]] = index
    left, byte, state = np.array(steps, np.int64).T
    return Trie(bpe_tables.pair_table(left, byte, state), bpe_tables.column(tokens))


def taken(given: Elements, known: Trie) -> Elements:
    """The text with each added token in the place of its bytes."""
    found, size = _longest(given, known, None)
    begins, inner = _leftmost(found, size)
    return _replaced(given, found, begins, inner)


def taken_words(given: Elements, starts: tf.Tensor, known: Trie) -> tuple[Elements, tf.Tensor]:
    """The text with each word that is a token, whatever its merges are, in the place of its bytes.

    Args:
      given: the text.
      starts: bool `[N]`, where words begin.
      known: the tokens.

    Returns:
      The text; bool `[N]`, where words begin in it.
    """
    place, count = tf.range(starts.shape[0]), starts.shape[0]
    found, size = _longest(given, known, starts)
    word = tf.cumsum(tf.cast(starts, tf.int32))
    ends = tf.math.unsorted_segment_max(tf.where(given.is_byte, place + 1, 0), word, count + 1)
    begins = tf.logical_and(tf.logical_and(starts, found >= 0), tf.equal(place + size, tf.gather(ends, word)))
    whole = tf.math.unsorted_segment_max(tf.cast(begins, tf.int32), word, count + 1)
    inner = tf.logical_and(given.is_byte, tf.logical_and(tf.gather(whole, word) > 0, tf.logical_not(starts)))
    kept = _kept(given, inner)
    moved_starts = moved(tf.cast(starts, tf.int32), places_of(kept)) > 0
    return _replaced(given, found, begins, inner), moved_starts


def _kept(given: Elements, inner: tf.Tensor) -> tf.Tensor:
    """The places that stay, bool `[N]`, where those inside a token go."""
    return tf.logical_and(tf.range(inner.shape[0]) < given.length, tf.logical_not(inner))


def _replaced(given: Elements, found: tf.Tensor, begins: tf.Tensor, inner: tf.Tensor) -> Elements:
    """The text with what was found where it begins, and without the places inside it."""
    kept = _kept(given, inner)
    places = places_of(kept)
    token = moved(tf.where(begins, found, given.token) + 1, places) - 1
    return Elements(moved(tf.where(begins, 0, given.text), places), token, tf.reduce_sum(tf.cast(kept, tf.int32)))


def _longest(given: Elements, known: Trie, starts: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
    """At each place the longest token that begins there, -1 where none does, and how many bytes it has.

    With `starts`, bool `[N]`, none goes on where another word begins.
    """

    def step(ahead: tf.Tensor, state: tf.Tensor, found: tf.Tensor, size: tf.Tensor, read: tf.Tensor) -> list[tf.Tensor]:
        rank = tf.where(ahead >= 0, ranks(state, tf.maximum(ahead, 0), known.steps), NO_MERGE)
        alive = rank < NO_MERGE
        state = tf.where(alive, lookup(known.steps.merged, tf.where(alive, rank, 0)), _DEAD)
        ended = lookup(known.tokens, state)
        there = ended >= 0
        return [following(ahead, read), state, tf.where(there, ended, found), tf.where(there, read, size), read + 1]

    count = given.text.shape[0]
    text = tf.where(given.is_byte, given.text, -1)
    word = tf.zeros([count], tf.int32) if starts is None else tf.cumsum(tf.cast(starts, tf.int32))

    def following(ahead: tf.Tensor, read: tf.Tensor) -> tf.Tensor:
        """The next byte of each place, -1 behind its word."""
        ahead = shift(ahead, -1, -1)
        if starts is None:
            return ahead
        there = tf.gather(word, tf.minimum(tf.range(count) + read, count - 1))
        return tf.where(tf.equal(there, word), ahead, -1)

    none, root = tf.fill([count], -1), tf.fill([count], _ROOT)
    begun = [text, root, none, tf.zeros_like(text), tf.constant(1)]
    _, _, found, size, _ = tf.while_loop(lambda _, state, *rest: tf.reduce_any(state != _DEAD), step, begun)
    return found, size


def _leftmost(found: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Where a token begins, none inside another, and which places are inside of one, bool `[N]` each."""
    place, count = tf.range(found.shape[0]), found.shape[0]

    def following(behind: tf.Tensor) -> tf.Tensor:
        return tf.reduce_min(tf.where(tf.logical_and(found >= 0, place >= behind), place, count))

    def step(begins: tf.Tensor, inner: tf.Tensor, first: tf.Tensor) -> list[tf.Tensor]:
        behind = first + tf.gather(size, first)
        inside = tf.logical_and(place > first, place < behind)
        return [
            tf.maximum(begins, tf.cast(tf.equal(place, first), tf.int32)),
            tf.maximum(inner, tf.cast(inside, tf.int32)),
            following(behind),
        ]

    zeros = tf.zeros([count], tf.int32)
    begun = [zeros, zeros, following(tf.constant(0))]
    begins, inner, _ = tf.while_loop(lambda begins, inner, first: first < count, step, begun)
    return begins > 0, inner > 0
