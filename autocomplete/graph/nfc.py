"""Unicode Normalization Form C in integer operators that every TensorFlow Lite runtime has built in.

Shapes: N bytes of a text, M code points of its decomposition. A `row` is the row of a code point in the tables of
nfc_tables.py. A byte that is part of no character has a point of its own behind all code points.
"""

from collections.abc import Callable

import tensorflow as tf

from autocomplete.graph.bpe import lookup
from autocomplete.graph.nfc_tables import (
    L_BASE,
    L_COUNT,
    PAGE,
    S_BASE,
    S_COUNT,
    T_BASE,
    T_COUNT,
    V_BASE,
    V_COUNT,
    Normalization,
    normalization,
)
from autocomplete.graph.utf8 import characters, compacted_places, scatter, shift

_LONE = 0x110000  # added to a byte that is part of no character
_CLASSES = 256  # more than there are combining classes


def normalized(text: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """UTF-8 in Normalization Form C (Unicode Standard Annex #15), by the Unicode data of `tokenizers`.

    For a text that is in this form already, the graph looks at its bytes and, if there are characters from U+0300 on,
    runs the annex's quick check. Loops of at most one round do the rest: an IF would copy whatever it reads, whichever
    branch it takes.

    Args:
      text: int32 `[N]`, N static, of which the first `length` are the text and the rest 0. A byte that is part of no
        character stays, and is a starter that never composes.
      length: int32 `[]`.

    Returns:
      The bytes int32 `[N]`, then zeros, and their number int32 `[]`. Of a form longer than N bytes, the last whole
      characters that fit.
    """
    tables = normalization()
    needs_check = tf.reduce_max(text) >= tables.min_byte

    def check(*_: tf.Tensor) -> list[tf.Tensor]:
        points = code_points(text)
        return [fails_quick_check(points, tables), points]

    # The second state is used only if the check fails, and then holds the code points.
    has_failed, points = _if(needs_check, check, [tf.constant(False), text])
    text, length = _if(has_failed, lambda _, length: _composed_form(points, length, tables), [text, length])
    return text, length


def _if(condition: tf.Tensor, body: Callable[..., list[tf.Tensor]], state: list[tf.Tensor]) -> list[tf.Tensor]:
    """The state, or what `body` makes of it if the condition, bool `[]`, holds."""

    def run_once(_: tf.Tensor, *state: tf.Tensor) -> list[tf.Tensor]:
        return [tf.constant(False), *body(*state)]

    _, *state = tf.while_loop(lambda goes_on, *_: goes_on, run_once, [condition, *state])
    return state


def code_points(text: tf.Tensor) -> tf.Tensor:
    """The code points of UTF-8, int32 `[N]`: at the first byte of each character, and -1 at other bytes."""
    chars = characters(text)
    return tf.where(chars.lead, tf.where(chars.valid, chars.point, text + _LONE), -1)


def fails_quick_check(points: tf.Tensor, tables: Normalization) -> tf.Tensor:
    """Whether the annex's quick check says No or Maybe of a text with these `code_points`, bool `[]`."""
    row = _rows(tf.maximum(points, 0), tables)
    combining = lookup(tables.combining, row)
    over_character = combining
    for _ in range(3):  # a continuation byte has the class of the byte before it
        over_character = tf.where(points < 0, shift(over_character, 1, 0), over_character)
    is_misordered = tf.logical_and(combining > 0, shift(over_character, 1, 0) > combining)
    return tf.reduce_any(tf.logical_or(row >= tables.first_unusual_row, is_misordered))


def _composed_form(points: tf.Tensor, length: tf.Tensor, tables: Normalization) -> list[tf.Tensor]:
    """The UTF-8 `[N]` in Form C of a text with these `code_points`, and its length."""
    max_bytes = points.shape[0]
    points, count = _decomposed(points, length, tables)
    points = _ordered(points, tables)

    def step(points: tf.Tensor, count: tf.Tensor, _: tf.Tensor) -> list[tf.Tensor]:
        return _compose(points, count, tables)

    state = [points, count, tf.constant(True)]
    points, count, _ = tf.while_loop(lambda points, count, goes_on: goes_on, step, state)
    return _encoded(points, count, max_bytes)


def _rows(points: tf.Tensor, tables: Normalization) -> tf.Tensor:
    """The row of each point, int32; points behind all code points have row 0."""
    points = tf.minimum(points, tables.last)
    return lookup(tables.pages, lookup(tables.page_of, points // PAGE) * PAGE + points % PAGE)


def _decomposed(points: tf.Tensor, length: tf.Tensor, tables: Normalization) -> tuple[tf.Tensor, tf.Tensor]:
    """The full canonical decomposition: points int32 `[M]`, then zeros, and their number int32 `[]`.

    Hangul syllables stay: whatever follows them, they would be composed again.
    """
    size = points.shape[0]
    row = _rows(tf.maximum(points, 0), tables)
    starts = lookup(tables.starts, row)
    num_parts = lookup(tables.starts, row + 1) - starts
    is_character = tf.logical_and(points >= 0, tf.range(size) < length)
    ends = tf.cumsum(tf.where(is_character, tf.maximum(num_parts, 1), 0))
    numerator, denominator = tables.growth
    max_points = size * numerator // denominator
    source, offset = _spread(ends, max_points)
    is_used = tf.range(max_points) < ends[-1]
    is_replaced = tf.logical_and(is_used, tf.gather(num_parts, source) > 0)
    part = lookup(tables.parts, tf.where(is_replaced, tf.gather(starts, source) + offset, 0))
    return tf.where(is_replaced, part, tf.where(is_used, tf.gather(points, source), 0)), ends[-1]


def _spread(ends: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """For items that end at `ends`, int32 `[n]`: the item of each place, and the offset in it, int32 `[size]` each.

    Behind the last end the numbers mean nothing.
    """
    num_ended = scatter(tf.ones_like(ends), tf.expand_dims(tf.clip_by_value(ends, 0, size), 1), size)
    source = tf.minimum(tf.cumsum(num_ended), ends.shape[0] - 1)
    return source, tf.range(size) - tf.gather(shift(ends, 1, 0), source)


def _ordered(points: tf.Tensor, tables: Normalization) -> tf.Tensor:
    """The points in canonical order: marks behind one starter sorted by combining class, by a stable sort."""
    combining = lookup(tables.combining, _rows(points, tables))
    run = tf.cumsum(tf.cast(tf.equal(combining, 0), tf.int32))
    # TensorFlow Lite has no sort. Of equal numbers, TOPK_V2 takes the one with the lower index first.
    _, order = tf.math.top_k(-(run * _CLASSES + combining), points.shape[0])
    return tf.gather(points, order)


def _compose(points: tf.Tensor, count: tf.Tensor, tables: Normalization) -> list[tf.Tensor]:
    """Composes every starter with the first character behind it that composes with it and is not blocked.

    A mark is blocked by a mark of its own class before it, a starter by anything before it. A character that a starter
    passed over never composes with what it became: nfc_tables.py makes sure of that. So a few rounds do what the
    standard does character by character (The Unicode Standard, chapter 3.11).

    Returns:
      The points int32 `[M]`, then zeros; their number int32 `[]`; bool `[]`, whether any were composed.
    """
    size = points.shape[0]
    position, row = tf.range(size), _rows(points, tables)
    is_used, combining = position < count, lookup(tables.combining, row)
    is_starter = tf.equal(combining, 0)
    starters_before = shift(tf.cumsum(tf.cast(is_starter, tf.int32)), 1, 0)
    starter = tf.gather(scatter(position, compacted_places(is_starter)), tf.maximum(starters_before - 1, 0))
    is_blocked = tf.logical_or(tf.equal(starters_before, 0), shift(combining, 1, 0) >= tf.maximum(combining, 1))
    left = tf.gather(points, starter)
    composite = tf.maximum(_hangul(left, points), _composites(tf.gather(row, starter), row, tables))
    composes = tf.logical_and(tf.logical_and(is_used, composite > 0), tf.logical_not(is_blocked))
    first = tf.math.unsorted_segment_min(tf.where(composes, position, size), starter, size)
    is_chosen = tf.logical_and(composes, tf.equal(tf.gather(first, starter), position))
    points += scatter(composite - left, tf.expand_dims(tf.where(is_chosen, starter, size), 1))
    is_kept = tf.logical_and(is_used, tf.logical_not(is_chosen))
    new_points = scatter(points, compacted_places(is_kept))
    return [new_points, tf.reduce_sum(tf.cast(is_kept, tf.int32)), tf.reduce_any(is_chosen)]


def _composites(left: tf.Tensor, right: tf.Tensor, tables: Normalization) -> tf.Tensor:
    """The primary composite of each pair of rows, int32 `[M]`; 0 for none."""
    place = lookup(tables.left, left) + lookup(tables.right, right)
    return tf.where(tf.equal(lookup(tables.owner, place), left), lookup(tables.composed, place), 0)


def _hangul(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """The syllable of each pair of code points, int32 `[M]`; 0 for none (The Unicode Standard, chapter 3.12)."""
    lead, vowel, trail, syllable = left - L_BASE, right - V_BASE, right - T_BASE, left - S_BASE
    is_open_pair = tf.logical_and(_below(lead, L_COUNT), _below(vowel, V_COUNT))
    is_open_syllable = tf.logical_and(_below(syllable, S_COUNT), tf.equal(syllable % T_COUNT, 0))
    is_closed_pair = tf.logical_and(is_open_syllable, tf.logical_and(trail > 0, trail < T_COUNT))
    composed = tf.where(is_open_pair, S_BASE + (lead * V_COUNT + vowel) * T_COUNT, 0)
    return tf.where(is_closed_pair, left + trail, composed)


def _below(x: tf.Tensor, end: int) -> tf.Tensor:
    return tf.logical_and(x >= 0, x < end)


def _encoded(points: tf.Tensor, count: tf.Tensor, max_bytes: int) -> list[tf.Tensor]:
    """The last whole characters that fit, as UTF-8 int32 `[max_bytes]`, then zeros; int32 `[]`, how many bytes."""
    is_lone = points >= _LONE
    size = 1 + sum(tf.cast(points >= least, tf.int32) for least in (0x80, 0x800, 0x10000))
    size = tf.where(tf.range(points.shape[0]) < count, tf.where(is_lone, 1, size), 0)
    ends = tf.cumsum(size)
    starts = ends - size
    cut = tf.reduce_min(tf.where(starts >= ends[-1] - max_bytes, starts, ends[-1]))
    source, offset = _spread(ends - cut, max_bytes)
    point, size = tf.gather(tf.where(is_lone, points - _LONE, points), source), tf.gather(size, source)
    digits = point // tf.gather([1, 1 << 6, 1 << 12, 1 << 18], tf.clip_by_value(size - 1 - offset, 0, 3))
    byte = tf.where(tf.equal(offset, 0), tf.gather([0, 0, 0xC0, 0xE0, 0xF0], size) + digits, 0x80 + digits % 64)
    length = ends[-1] - cut
    return [tf.where(tf.range(max_bytes) < length, byte, 0), length]
