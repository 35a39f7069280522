"""Where pre-tokens begin, by the patterns of several families, in integer operations."""

import functools
from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

from autocomplete.graph.bpe_tables import LETTER, NUMBER, OTHER, SPACE, CharacterClasses
from autocomplete.graph.utf8 import characters, shift, shift_bool
from autocomplete.tokenizer.pre_tokenizers import DIGITS, GPT2, LLAMA3, QWEN

KNOWN = (GPT2, DIGITS, LLAMA3, QWEN)
_LONG_S = 0xC5BF  # U+017F in UTF-8
Reduce: TypeAlias = Callable[[tf.Tensor, tf.Tensor, int], tf.Tensor]


def starts(words: str, classes: CharacterClasses) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """(UTF-8 bytes, int32 `[N]`; which of them count, bool `[N]`) → whether a word begins at each, by that pattern."""
    if words == GPT2:
        return functools.partial(gpt2_starts, classes=classes)
    if words == DIGITS:
        return functools.partial(digits_starts, classes=classes)
    return functools.partial(llama3_starts, classes=classes, digits={LLAMA3: 3, QWEN: 1}[words])


def gpt2_starts(text: tf.Tensor, inside: tf.Tensor, classes: CharacterClasses) -> tf.Tensor:
    r"""Whether a pre-token begins at each byte, bool `[N]`.

    The pattern is GPT-2's (OpenAI, encoder.py):
    `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
    A run of one class is a word; the blank before it belongs to it; of a run of white space before a word the last
    character stands alone (or, a blank, goes to the word); a contraction at a word's beginning ends after itself.
    """
    kind, lead = _classes(text, classes)
    kind = tf.where(inside, kind, -1)
    before, after = shift(kind, 1, -1), _after_character(kind, lead)
    blank_before = tf.equal(shift(text, 1, 0), 0x20)
    space = tf.equal(kind, SPACE)
    new_run = tf.not_equal(kind, before)
    last_space = tf.logical_and(tf.logical_and(space, lead), tf.logical_and(after != SPACE, after >= 0))
    start = tf.logical_or(last_space, tf.logical_and(new_run, tf.logical_or(space, tf.logical_not(blank_before))))
    start = tf.logical_and(start, inside)
    return _contractions(text, start, inside, fold=False)


def digits_starts(text: tf.Tensor, inside: tf.Tensor, classes: CharacterClasses) -> tf.Tensor:
    """As `gpt2_starts`, where each digit is a word, and what stands between digits is cut as a text by itself."""
    kind, lead = _classes(tf.where(inside, text, 0), classes)
    digit = tf.logical_and(inside, tf.equal(kind, NUMBER))
    rest = tf.logical_and(inside, tf.logical_not(digit))
    return tf.logical_or(gpt2_starts(tf.where(rest, text, 0), rest, classes), tf.logical_and(digit, lead))


def llama3_starts(text: tf.Tensor, inside: tf.Tensor, classes: CharacterClasses, digits: int) -> tf.Tensor:
    r"""As `gpt2_starts`, by Llama 3's pattern, in which a number has at most 3 `digits`, or Qwen's, in which it has 1.

    `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|`
    `\s*[\r\n]+|\s+(?!\S)|\s+`.
    A letter takes one character before it, if a word begins there: the last of white space but for a line end, or a
    sign that stands alone with no blank before it, which would take it first. Line ends go with the signs in front of
    them; others end a word that begins with the white space before them.
    """
    kind, lead = _classes(text, classes)
    kind = tf.where(inside, kind, -1)
    before, after, previous = shift(kind, 1, -1), _after_character(kind, lead), shift(text, 1, 0)
    new_run = tf.not_equal(kind, before)
    sign_first = tf.logical_and(tf.logical_and(new_run, lead), tf.logical_and(tf.equal(kind, OTHER), previous != 0x20))
    alone = _over_character(tf.logical_and(sign_first, tf.equal(after, LETTER)), lead)
    ended = tf.logical_or(tf.equal(previous, 0x0A), tf.equal(previous, 0x0D))
    taken = tf.logical_or(shift_bool(alone, 1), tf.logical_and(tf.equal(before, SPACE), tf.logical_not(ended)))
    letter_first = tf.logical_and(tf.logical_and(new_run, tf.equal(kind, LETTER)), tf.logical_not(taken))
    start = tf.logical_or(tf.logical_or(sign_first, letter_first), _number_starts(kind, lead, new_run, digits))
    ends_run = tf.logical_and(lead, tf.logical_and(after >= 0, tf.not_equal(after, kind)))
    start = tf.logical_or(start, _space_starts(text, kind, ends_run, new_run))
    return _contractions(text, tf.logical_and(start, inside), inside, fold=True)


def _number_starts(kind: tf.Tensor, lead: tf.Tensor, new_run: tf.Tensor, digits: int) -> tf.Tensor:
    """Every so many digits of a run of them."""
    digit = tf.logical_and(lead, tf.equal(kind, NUMBER))
    count = tf.cumsum(tf.cast(digit, tf.int32))
    behind = count - _over_run(tf.math.unsorted_segment_min, count, new_run)
    return tf.logical_and(digit, tf.equal(tf.math.floormod(behind, digits), 0))


def _space_starts(text: tf.Tensor, kind: tf.Tensor, ends_run: tf.Tensor, new_run: tf.Tensor) -> tf.Tensor:
    """Words of white space; `ends_run` tells the bytes of characters behind which another kind follows."""
    place, size = tf.range(text.shape[0]), text.shape[0]
    space = tf.equal(kind, SPACE)
    line_end = tf.logical_and(space, tf.logical_or(tf.equal(text, 0x0A), tf.equal(text, 0x0D)))
    behind_sign = tf.cast(tf.logical_and(new_run, tf.equal(shift(kind, 1, -1), OTHER)), tf.int32)
    behind_sign = _over_run(tf.math.unsorted_segment_max, behind_sign, new_run) > 0
    blank = _over_run(tf.math.unsorted_segment_min, tf.where(line_end, size, place), new_run)
    given_away = tf.logical_and(tf.logical_and(line_end, behind_sign), place < blank)
    kept = tf.logical_and(space, tf.logical_not(given_away))
    last_end = tf.where(tf.logical_and(line_end, kept), place, -1)
    behind_ends = tf.equal(place - 1, _over_run(tf.math.unsorted_segment_max, last_end, new_run))
    first = tf.logical_or(tf.logical_or(new_run, shift_bool(given_away, 1)), behind_ends)
    last = tf.logical_and(ends_run, tf.logical_not(line_end))
    return tf.logical_and(kept, tf.logical_or(first, last))


def _over_run(reduce: Reduce, values: tf.Tensor, new_run: tf.Tensor) -> tf.Tensor:
    """At each byte what `reduce` makes of the values of its run, int32 `[N]`."""
    runs = tf.cumsum(tf.cast(new_run, tf.int32))
    return tf.gather(reduce(values, runs, values.shape[0] + 1), runs)


def _over_character(flags: tf.Tensor, lead: tf.Tensor) -> tf.Tensor:
    """Flags of the bytes that begin characters, on all bytes of these."""
    for _ in range(3):
        flags = tf.where(lead, flags, shift_bool(flags, 1))
    return flags


def _classes(text: tf.Tensor, classes: CharacterClasses) -> tuple[tf.Tensor, tf.Tensor]:
    """The class of the character that each byte is part of, int32 `[N]`, and whether one begins there, bool `[N]`.

    A byte that is part of no character, in text that is no UTF-8, counts as a sign by itself.
    """
    found = characters(text)
    page = tf.cast(tf.gather(classes.page_of, found.point // 256), tf.int32)
    at_lead = tf.cast(tf.gather(classes.pages.reshape(-1), page * 256 + found.point % 256), tf.int32)
    kind = tf.where(tf.logical_and(found.lead, found.valid), at_lead, OTHER)
    for _ in range(3):  # a continuation byte takes the class of the byte before it
        kind = tf.where(found.lead, kind, shift(kind, 1, OTHER))
    return kind, found.lead


def _after_character(kind: tf.Tensor, lead: tf.Tensor) -> tf.Tensor:
    """At each lead byte the class of the next character; -1 at the end of the text."""
    following = tf.fill(kind.shape, -1)
    found = tf.zeros(kind.shape, tf.bool)
    for i in range(1, 5):
        here = tf.logical_and(tf.logical_not(found), shift(tf.cast(lead, tf.int32), -i, 1) > 0)
        following = tf.where(here, shift(kind, -i, -1), following)
        found = tf.logical_or(found, here)
    return following


def _contractions(text: tf.Tensor, start: tf.Tensor, inside: tf.Tensor, *, fold: bool) -> tf.Tensor:
    """The starts less those inside a contraction, and those behind one; `fold` takes capitals for small letters."""
    small = tf.where(tf.logical_and(text >= ord("A"), text <= ord("Z")), text + 32, text) if fold else text
    one, two = shift(small, -1, 0), shift(small, -2, 0)
    quote = tf.logical_and(start, tf.equal(text, ord("'")))
    short = tf.reduce_any(tf.equal(tf.expand_dims(one, 1), [ord(c) for c in "stmd"]), axis=1)
    pairs = tf.equal(one * 256 + two, ord("r") * 256 + ord("e"))
    for a, b in ("ve", "ll"):
        pairs = tf.logical_or(pairs, tf.equal(one * 256 + two, ord(a) * 256 + ord(b)))
    if fold:  # a pattern that folds case takes the long s for an s; it has two bytes
        pairs = tf.logical_or(pairs, tf.equal(one * 256 + two, _LONG_S))
    short, long = tf.logical_and(quote, short), tf.logical_and(quote, pairs)
    suffix = tf.logical_or(shift_bool(short, 1), shift_bool(long, 1))
    ends = tf.logical_or(shift_bool(short, 2), shift_bool(long, 3))
    return tf.logical_and(inside, tf.logical_or(ends, tf.logical_and(start, tf.logical_not(suffix))))
