"""GPT-2's byte-level BPE in integer operations that every TensorFlow Lite runtime has built in."""

import numpy as np
import tensorflow as tf

from stages.arrays import Array
from stages.lm.bpe_tables import OTHER, SPACE, CharacterClasses, MergeTable

_NO_MERGE = np.int32(2**31 - 1)


def encode(
    text: tf.Tensor, length: tf.Tensor, byte_ids: Array, classes: CharacterClasses, merges: MergeTable
) -> tuple[tf.Tensor, tf.Tensor]:
    """Token ids of UTF-8 bytes.

    Args:
      text: int32 `[N]`, N static, of which the first `length` are the bytes of the text.
      length: int32 `[]`.
      byte_ids: token id of each byte.
      classes: character classes for the pre-tokenization.
      merges: the merges.

    Returns:
      int32 `[N]` ids and int32 `[]`, how many of them count.
    """
    inside = tf.range(text.shape[0]) < length
    starts = word_starts(text, inside, classes)
    words = tf.cumsum(tf.cast(starts, tf.int32)) - 1
    return _merge(tf.gather(byte_ids, text), words, length, merges)


def word_starts(text: tf.Tensor, inside: tf.Tensor, classes: CharacterClasses) -> tf.Tensor:
    r"""Whether a pre-token begins at each byte, bool `[N]`.

    The pattern is GPT-2's (OpenAI, encoder.py):
    `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
    A run of one class is a word; the blank before it belongs to it; of a run of white space before a word the last
    character stands alone (or, a blank, goes to the word); a contraction at a word's beginning ends after itself.
    """
    lead = tf.logical_or(text < 0x80, text >= 0xC0)
    kind = _classes(text, lead, classes)
    kind = tf.where(inside, kind, -1)
    before, after = _shift(kind, 1, -1), _after_character(kind, lead)
    blank_before = tf.equal(_shift(text, 1, 0), 0x20)
    space = tf.equal(kind, SPACE)
    new_run = tf.not_equal(kind, before)
    last_space = tf.logical_and(tf.logical_and(space, lead), tf.logical_and(after != SPACE, after >= 0))
    start = tf.logical_or(last_space, tf.logical_and(new_run, tf.logical_or(space, tf.logical_not(blank_before))))
    start = tf.logical_and(start, inside)
    return _contractions(text, start, inside)


def _classes(text: tf.Tensor, lead: tf.Tensor, classes: CharacterClasses) -> tf.Tensor:
    """The class of the character that each byte is part of; a byte that begins no character counts as other.

    Remainders stand for the bit masks of UTF-8 (RFC 3629): TensorFlow Lite has no bitwise AND built in.
    """
    b1, b2, b3 = (_shift(text, -i, 0) % 64 for i in (1, 2, 3))
    two = text % 32 * 64 + b1
    three = text % 16 * 4096 + b1 * 64 + b2
    four = text % 8 * 262144 + b1 * 4096 + b2 * 64 + b3
    point = tf.where(text < 0x80, text, tf.where(text < 0xE0, two, tf.where(text < 0xF0, three, four)))
    point = tf.minimum(point, 0x10FFFF)
    page = tf.cast(tf.gather(classes.page_of, point // 256), tf.int32)
    at_lead = tf.cast(tf.gather(classes.pages.reshape(-1), page * 256 + point % 256), tf.int32)
    kind = tf.where(lead, at_lead, OTHER)
    for _ in range(3):  # a continuation byte takes the class of the byte before it
        kind = tf.where(lead, kind, _shift(kind, 1, OTHER))
    return kind


def _after_character(kind: tf.Tensor, lead: tf.Tensor) -> tf.Tensor:
    """At each lead byte the class of the next character; -1 at the end of the text."""
    following = tf.fill(kind.shape, -1)
    found = tf.zeros(kind.shape, tf.bool)
    for i in range(1, 5):
        here = tf.logical_and(tf.logical_not(found), _shift(tf.cast(lead, tf.int32), -i, 1) > 0)
        following = tf.where(here, _shift(kind, -i, -1), following)
        found = tf.logical_or(found, here)
    return following


def _contractions(text: tf.Tensor, start: tf.Tensor, inside: tf.Tensor) -> tf.Tensor:
    one, two = _shift(text, -1, 0), _shift(text, -2, 0)
    quote = tf.logical_and(start, tf.equal(text, ord("'")))
    short = tf.reduce_any(tf.equal(one[:, tf.newaxis], [ord(c) for c in "stmd"]), axis=1)
    pairs = tf.equal(one * 256 + two, ord("r") * 256 + ord("e"))
    for a, b in ("ve", "ll"):
        pairs = tf.logical_or(pairs, tf.equal(one * 256 + two, ord(a) * 256 + ord(b)))
    short, long = tf.logical_and(quote, short), tf.logical_and(quote, pairs)
    suffix = tf.logical_or(_shift_bool(short, 1), _shift_bool(long, 1))
    ends = tf.logical_or(_shift_bool(short, 2), _shift_bool(long, 3))
    return tf.logical_and(inside, tf.logical_or(ends, tf.logical_and(start, tf.logical_not(suffix))))


def _merge(ids: tf.Tensor, words: tf.Tensor, count: tf.Tensor, merges: MergeTable) -> tuple[tf.Tensor, tf.Tensor]:
    """Merges in every word at once its pair of lowest rank, the leftmost first, until no pair is left.

    A merged token's own merges have higher ranks, so this equals merging all occurrences of a pair together.
    """
    size = ids.shape[0]
    position = tf.range(size)

    def step(ids: tf.Tensor, words: tf.Tensor, count: tf.Tensor, _: tf.Tensor) -> list[tf.Tensor]:
        paired = tf.logical_and(position + 1 < count, tf.equal(words, _shift(words, -1, -1)))
        rank = tf.where(paired, _ranks(ids, _shift(ids, -1, 0), merges), _NO_MERGE)
        # rank and place in one number, so that one minimum finds both; ranks · N stays within int32
        key = tf.where(rank < _NO_MERGE, tf.minimum(rank, len(merges.merged)) * size + position, _NO_MERGE)
        inside = tf.where(position < count, words, 0)
        best = tf.gather(tf.math.unsorted_segment_min(key, inside, size), inside)
        chosen = tf.logical_and(tf.equal(key, best), key < _NO_MERGE)
        ids = tf.where(chosen, tf.gather(merges.merged, tf.where(chosen, rank, 0)), ids)
        kept = tf.logical_and(position < count, tf.logical_not(_shift_bool(chosen, 1)))
        target = tf.where(kept, tf.cumsum(tf.cast(kept, tf.int32)) - 1, size)[:, tf.newaxis]
        ids = tf.scatter_nd(target, ids, [size + 1])[:size]
        words = tf.scatter_nd(target, words, [size + 1])[:size]
        return [ids, words, tf.reduce_sum(tf.cast(kept, tf.int32)), tf.reduce_any(chosen)]

    ids, _, count, _ = tf.while_loop(lambda i, w, c, more: more, step, [ids, words, count, tf.constant(True)])
    return ids, count


def _ranks(left: tf.Tensor, right: tf.Tensor, merges: MergeTable) -> tf.Tensor:
    """The rank of each pair's merge, int32 `[N]`; `_NO_MERGE` where there is none."""
    bucket = tf.math.floormod(left * merges.multiplier + right, len(merges.starts))
    entries = tf.gather(merges.starts, bucket)[:, tf.newaxis] + tf.range(merges.width)
    same_left = tf.equal(tf.gather(merges.left, entries), left[:, tf.newaxis])
    same = tf.logical_and(same_left, tf.equal(tf.gather(merges.right, entries), right[:, tf.newaxis]))
    return tf.reduce_min(tf.where(same, tf.gather(merges.rank, entries), _NO_MERGE), axis=1)


def _shift(x: tf.Tensor, by: int, fill: int) -> tf.Tensor:
    """`x` moved right by `by` places (left where negative), int32 `[N]`."""
    edge = tf.fill([abs(by)], tf.constant(fill, tf.int32))
    return tf.concat([edge, x[:-by]], 0) if by > 0 else tf.concat([x[-by:], edge], 0)


def _shift_bool(x: tf.Tensor, by: int) -> tf.Tensor:
    return _shift(tf.cast(x, tf.int32), by, 0) > 0
