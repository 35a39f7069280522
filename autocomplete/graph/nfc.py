"""Unicode Normalization Form C in integer operations that every TensorFlow Lite runtime has built in."""

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
from autocomplete.graph.utf8 import characters, moved, places_of, shift

_LONE = 0x110000  # added to a byte that is part of no character: a point behind all code points
_CLASSES = 256  # more than there are combining classes


def normalized(text: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """UTF-8 in Normalization Form C (Unicode Standard Annex #15), by the Unicode of `tokenizers`.

    Text that is in this form already costs a look at its bytes and, if it has characters from U+0300 on, the quick
    check of the annex. Loops that run once at most do the rest: an IF would copy what it reads, whichever way it goes.

    Args:
      text: int32 `[N]`, N static, of which the first `length` are the bytes of the text, the rest zeros. A byte that
        is part of no character stays, and is a starter that never composes.
      length: int32 `[]`.

    Returns:
      int32 `[N]`, the bytes, then zeros; int32 `[]`, how many they are. Of a form longer than N bytes the last whole
      characters that fit.
    """
    tables = normalization()
    looked_at = tf.reduce_max(text) >= tables.least

    def look(*_: tf.Tensor) -> list[tf.Tensor]:
        points = code_points(text)
        return [fails_quick_check(points, tables), points]

    failed, points = _once(looked_at, look, [tf.constant(False), text])  # points only where the check failed
    text, length = _once(failed, lambda _, length: _composed_form(points, length, tables), [text, length])
    return text, length


def _once(wanted: tf.Tensor, body: Callable[..., list[tf.Tensor]], state: list[tf.Tensor]) -> list[tf.Tensor]:
    """What `body` makes of the state where that is wanted, else the state."""
    _, *state = tf.while_loop(lambda again, *_: again, lambda _, *s: [tf.constant(False), *body(*s)], [wanted, *state])
    return state


def code_points(text: tf.Tensor) -> tf.Tensor:
    """At the first byte of each character of UTF-8, int32 `[N]`, its code point, at others -1, int32 `[N]`.

    A byte that is part of no character has a point of its own, behind all code points.
    """
    found = characters(text)
    return tf.where(found.lead, tf.where(found.valid, found.point, text + _LONE), -1)


def fails_quick_check(points: tf.Tensor, tables: Normalization) -> tf.Tensor:
    """Whether the quick check of the annex leaves open that a text is in Form C, by its `code_points`: bool `[]`."""
    row = _rows(tf.maximum(points, 0), tables)
    kind = lookup(tables.combining, row)
    before = kind
    for _ in range(3):  # a continuation byte takes the class of the byte before it
        before = tf.where(points < 0, shift(before, 1, 0), before)
    misplaced = tf.logical_and(kind > 0, shift(before, 1, 0) > kind)
    return tf.reduce_any(tf.logical_or(row >= tables.unusual, misplaced))


def _composed_form(points: tf.Tensor, length: tf.Tensor, tables: Normalization) -> list[tf.Tensor]:
    """The text `[N]` whose `code_points` those are, in Form C, and its length."""
    room = points.shape[0]
    points, count = _decomposed(points, length, tables)
    points = _ordered(points, tables)

    def step(points: tf.Tensor, count: tf.Tensor, _: tf.Tensor) -> list[tf.Tensor]:
        return _compose(points, count, tables)

    points, count, _ = tf.while_loop(lambda p, c, more: more, step, [points, count, tf.constant(True)])
    return _encoded(points, count, room)


def _rows(points: tf.Tensor, tables: Normalization) -> tf.Tensor:
    """The row of each point, int32; points behind all code points have row 0."""
    points = tf.minimum(points, tables.last)
    return lookup(tables.pages, lookup(tables.page_of, points // PAGE) * PAGE + points % PAGE)


def _decomposed(points: tf.Tensor, length: tf.Tensor, tables: Normalization) -> tuple[tf.Tensor, tf.Tensor]:
    """The points of the full canonical decomposition, int32 `[M]`, then zeros, and how many they are, int32 `[]`.

    Hangul syllables stay: whatever follows them, they would be composed again.
    """
    size = points.shape[0]
    row = _rows(tf.maximum(points, 0), tables)
    begin = lookup(tables.starts, row)
    parts = lookup(tables.starts, row + 1) - begin
    counted = tf.logical_and(points >= 0, tf.range(size) < length)
    ends = tf.cumsum(tf.where(counted, tf.maximum(parts, 1), 0))
    most, of = tables.growth
    room = size * most // of
    source, within = _spread(ends, room)
    inside = tf.range(room) < ends[-1]
    replaced = tf.logical_and(inside, tf.gather(parts, source) > 0)
    part = lookup(tables.parts, tf.where(replaced, tf.gather(begin, source) + within, 0))
    return tf.where(replaced, part, tf.where(inside, tf.gather(points, source), 0)), ends[-1]


def _spread(ends: tf.Tensor, room: int) -> tuple[tf.Tensor, tf.Tensor]:
    """For items that end at those places, int32 `[n]`, the item of each place and the place in it, int32 `[room]` each.

    Behind the last end the numbers mean nothing.
    """
    ended = moved(tf.ones_like(ends), tf.expand_dims(tf.clip_by_value(ends, 0, room), 1), room)
    source = tf.minimum(tf.cumsum(ended), ends.shape[0] - 1)
    return source, tf.range(room) - tf.gather(shift(ends, 1, 0), source)


def _ordered(points: tf.Tensor, tables: Normalization) -> tf.Tensor:
    """The points in canonical order: marks behind one starter by their combining classes, of one class as they were."""
    kind = lookup(tables.combining, _rows(points, tables))
    run = tf.cumsum(tf.cast(tf.equal(kind, 0), tf.int32))
    # TensorFlow Lite has no sort; of equal numbers the one with the lower index comes first
    _, order = tf.math.top_k(-(run * _CLASSES + kind), points.shape[0])
    return tf.gather(points, order)


def _compose(points: tf.Tensor, count: tf.Tensor, tables: Normalization) -> list[tf.Tensor]:
    """Composes every starter with the first character behind it that it composes with and that is not blocked.

    A mark is blocked by one of its own class before it, a starter by anything. What a starter passed over once never
    composes with what it became: `nfc_tables` makes sure of that. So a few rounds do what the standard does character
    by character (The Unicode Standard, chapter 3.11).

    Returns:
      int32 `[M]`, the points, then zeros; int32 `[]`, how many they are; bool `[]`, whether any were composed.
    """
    size = points.shape[0]
    position, row = tf.range(size), _rows(points, tables)
    inside, kind = position < count, lookup(tables.combining, row)
    starter = tf.equal(kind, 0)
    starters = shift(tf.cumsum(tf.cast(starter, tf.int32)), 1, 0)  # before each place
    head = tf.gather(moved(position, places_of(starter)), tf.maximum(starters - 1, 0))
    blocked = tf.logical_or(tf.equal(starters, 0), shift(kind, 1, 0) >= tf.maximum(kind, 1))
    left = tf.gather(points, head)
    composite = tf.maximum(_hangul(left, points), _composites(tf.gather(row, head), row, tables))
    fits = tf.logical_and(tf.logical_and(inside, composite > 0), tf.logical_not(blocked))
    first = tf.math.unsorted_segment_min(tf.where(fits, position, size), head, size)
    chosen = tf.logical_and(fits, tf.equal(tf.gather(first, head), position))
    points += moved(composite - left, tf.expand_dims(tf.where(chosen, head, size), 1))
    kept = tf.logical_and(inside, tf.logical_not(chosen))
    return [moved(points, places_of(kept)), tf.reduce_sum(tf.cast(kept, tf.int32)), tf.reduce_any(chosen)]


def _composites(left: tf.Tensor, right: tf.Tensor, tables: Normalization) -> tf.Tensor:
    """The primary composite of each pair of rows, int32 `[M]`; 0 where there is none."""
    place = lookup(tables.left, left) + lookup(tables.right, right)
    return tf.where(tf.equal(lookup(tables.owner, place), left), lookup(tables.composed, place), 0)


def _hangul(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """The syllable of each pair of code points, int32 `[M]`; 0 where there is none (chapter 3.12 of the standard)."""
    lead, vowel, trail, syllable = left - L_BASE, right - V_BASE, right - T_BASE, left - S_BASE
    open_pair = tf.logical_and(_below(lead, L_COUNT), _below(vowel, V_COUNT))
    open_syllable = tf.logical_and(_below(syllable, S_COUNT), tf.equal(syllable % T_COUNT, 0))
    closed_pair = tf.logical_and(open_syllable, tf.logical_and(trail > 0, trail < T_COUNT))
    composed = tf.where(open_pair, S_BASE + (lead * V_COUNT + vowel) * T_COUNT, 0)
    return tf.where(closed_pair, left + trail, composed)


def _below(x: tf.Tensor, most: int) -> tf.Tensor:
    return tf.logical_and(x >= 0, x < most)


def _encoded(points: tf.Tensor, count: tf.Tensor, room: int) -> list[tf.Tensor]:
    """The last whole characters that fit in `room` bytes: int32 `[room]`, then zeros; int32 `[]`, how many bytes."""
    lone = points >= _LONE
    size = 1 + sum(tf.cast(points >= least, tf.int32) for least in (0x80, 0x800, 0x10000))
    size = tf.where(tf.range(points.shape[0]) < count, tf.where(lone, 1, size), 0)
    ends = tf.cumsum(size)
    begins = ends - size
    cut = tf.reduce_min(tf.where(begins >= ends[-1] - room, begins, ends[-1]))
    source, within = _spread(ends - cut, room)
    point, size = tf.gather(tf.where(lone, points - _LONE, points), source), tf.gather(size, source)
    digits = point // tf.gather([1, 1 << 6, 1 << 12, 1 << 18], tf.clip_by_value(size - 1 - within, 0, 3))
    byte = tf.where(tf.equal(within, 0), tf.gather([0, 0, 0xC0, 0xE0, 0xF0], size) + digits, 0x80 + digits % 64)
    length = ends[-1] - cut
    return [tf.where(tf.range(room) < length, byte, 0), length]
