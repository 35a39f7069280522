"""Added tokens of a tokenizer, found in a text by integer operators: the leftmost-longest matches.

The `tokenizers` library finds the same by its library aho-corasick.

Shapes: N places of a text.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from autocomplete.graph import bpe_tables
from autocomplete.graph.bpe import NO_MERGE, lookup, merge_ranks
from autocomplete.graph.bpe_tables import CompactInts, MergeTable
from autocomplete.graph.utf8 import compacted_places, scatter, shift

_ROOT, _DEAD = 1, 0  # states of the trie; nothing leads out of the dead state


@dataclass(frozen=True)
class PartialTokens:
    """A text of which some parts are tokens already, and the others bytes.

    Attributes:
      text: int32 `[N]`, bytes; 0 in the place of a token.
      token: int32 `[N]`, ids of tokens; -1 in the place of a byte.
      length: int32 `[]`, how many places the text has.
    """

    text: tf.Tensor
    token: tf.Tensor
    length: tf.Tensor

    @property
    def is_byte(self) -> tf.Tensor:
        """Where the text has bytes, bool `[N]`."""
        return tf.logical_and(tf.range(self.text.shape[0]) < self.length, self.token < 0)


def without_tokens(text: tf.Tensor, length: tf.Tensor) -> PartialTokens:
    """A text that has no tokens yet: bytes int32 `[N]`, of which the first `length` are the text."""
    text = tf.where(tf.range(text.shape[0]) < length, text, 0)
    return PartialTokens(text, tf.fill([text.shape[0]], -1), length)


@dataclass(frozen=True)
class Trie:
    """Tokens as a trie.

    Attributes:
      steps: (state, byte) → the next state.
      tokens: by state, the token that ends there; -1 for none.
    """

    steps: MergeTable
    tokens: CompactInts


def build_trie(ids: Mapping[bytes, int]) -> Trie:
    """The trie of tokens, by their bytes."""
    steps: dict[tuple[int, int], int] = {}
    ends: dict[int, int] = {}
    for text, token in ids.items():
        state = _ROOT
        for byte in text:
            state = steps.setdefault((state, byte), _ROOT + 1 + len(steps))
        ends[state] = token
    tokens = np.full(_ROOT + 1 + len(steps), -1)
    tokens[list(ends)] = list(ends.values())
    left, right = np.array(list(steps), np.int64).T
    next_states = np.array(list(steps.values()), np.int64)
    return Trie(bpe_tables.pair_table(left, right, next_states), bpe_tables.compact_ints(tokens))


def replace_tokens(text: PartialTokens, trie: Trie) -> PartialTokens:
    """The text with each token of the trie in the place of its bytes."""
    token, size = _longest_matches(text, trie, None)
    is_first, is_inside = _leftmost(token, size)
    return _replaced(text, token, is_first, is_inside)


def replace_words(text: PartialTokens, word_starts: tf.Tensor, trie: Trie) -> tuple[PartialTokens, tf.Tensor]:
    """The text with each word that is a token of the trie in the place of its bytes, whatever its merges make of it.

    Args:
      text: the text.
      word_starts: bool `[N]`, where words begin.
      trie: the tokens.

    Returns:
      The text, and where words begin in it, bool `[N]`.
    """
    place, count = tf.range(word_starts.shape[0]), word_starts.shape[0]
    token, size = _longest_matches(text, trie, word_starts)
    word = tf.cumsum(tf.cast(word_starts, tf.int32))
    word_end = tf.math.unsorted_segment_max(tf.where(text.is_byte, place + 1, 0), word, count + 1)
    starts_token = tf.logical_and(word_starts, token >= 0)
    is_first = tf.logical_and(starts_token, tf.equal(place + size, tf.gather(word_end, word)))
    is_token = tf.math.unsorted_segment_max(tf.cast(is_first, tf.int32), word, count + 1)
    is_byte = text.is_byte
    in_token = tf.logical_and(tf.gather(is_token, word) > 0, tf.logical_not(word_starts))
    is_inside = tf.logical_and(is_byte, in_token)
    is_kept = _is_kept(text, is_inside)
    new_starts = scatter(tf.cast(word_starts, tf.int32), compacted_places(is_kept)) > 0
    return _replaced(text, token, is_first, is_inside), new_starts


def _is_kept(text: PartialTokens, is_inside: tf.Tensor) -> tf.Tensor:
    """The places that stay, bool `[N]`, when those inside a token are dropped."""
    return tf.logical_and(tf.range(is_inside.shape[0]) < text.length, tf.logical_not(is_inside))


def _replaced(text: PartialTokens, token: tf.Tensor, is_first: tf.Tensor, is_inside: tf.Tensor) -> PartialTokens:
    """The text with tokens where they begin, and without the places inside them."""
    is_kept = _is_kept(text, is_inside)
    places = compacted_places(is_kept)
    tokens = scatter(tf.where(is_first, token, text.token) + 1, places) - 1
    new_text = scatter(tf.where(is_first, 0, text.text), places)
    return PartialTokens(new_text, tokens, tf.reduce_sum(tf.cast(is_kept, tf.int32)))


def _longest_matches(text: PartialTokens, trie: Trie, word_starts: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
    """The longest token that begins at each place, int32 `[N]`, -1 for none, and its bytes, int32 `[N]`.

    With `word_starts`, bool `[N]`, no token reaches into another word.
    """

    def step(byte: tf.Tensor, state: tf.Tensor, token: tf.Tensor, size: tf.Tensor, read: tf.Tensor) -> list[tf.Tensor]:
        rank = tf.where(byte >= 0, merge_ranks(state, tf.maximum(byte, 0), trie.steps), NO_MERGE)
        has_next = rank < NO_MERGE
        state = tf.where(has_next, lookup(trie.steps.merged, tf.where(has_next, rank, 0)), _DEAD)
        ended = lookup(trie.tokens, state)
        is_end = ended >= 0
        return [next_byte(byte, read), state, tf.where(is_end, ended, token), tf.where(is_end, read, size), read + 1]

    count = text.text.shape[0]
    byte = tf.where(text.is_byte, text.text, -1)
    word = tf.zeros([count], tf.int32) if word_starts is None else tf.cumsum(tf.cast(word_starts, tf.int32))

    def next_byte(byte: tf.Tensor, read: tf.Tensor) -> tf.Tensor:
        """The next byte for each place, -1 behind the end of its word."""
        byte = shift(byte, -1, -1)
        if word_starts is None:
            return byte
        word_of_byte = tf.gather(word, tf.minimum(tf.range(count) + read, count - 1))
        return tf.where(tf.equal(word_of_byte, word), byte, -1)

    no_token, root = tf.fill([count], -1), tf.fill([count], _ROOT)
    state = [byte, root, no_token, tf.zeros_like(byte), tf.constant(1)]
    _, _, token, size, _ = tf.while_loop(lambda _, state, *rest: tf.reduce_any(state != _DEAD), step, state)
    return token, size


def _leftmost(token: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Where tokens begin when the leftmost ones win, and which places lie inside one, bool `[N]` each."""
    place, count = tf.range(token.shape[0]), token.shape[0]

    def next_token(end: tf.Tensor) -> tf.Tensor:
        return tf.reduce_min(tf.where(tf.logical_and(token >= 0, place >= end), place, count))

    def step(is_first: tf.Tensor, is_inside: tf.Tensor, first: tf.Tensor) -> list[tf.Tensor]:
        end = first + tf.gather(size, first)
        in_this = tf.logical_and(place > first, place < end)
        return [
            tf.maximum(is_first, tf.cast(tf.equal(place, first), tf.int32)),
            tf.maximum(is_inside, tf.cast(in_this, tf.int32)),
            next_token(end),
        ]

    zeros = tf.zeros([count], tf.int32)
    state = [zeros, zeros, next_token(tf.constant(0))]
    is_first, is_inside, _ = tf.while_loop(lambda is_first, is_inside, first: first < count, step, state)
    return is_first > 0, is_inside > 0
