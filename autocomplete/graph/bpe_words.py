"""Where words begin, by the patterns of several families, in integer operators.

Shapes: N bytes. In every function `text` is UTF-8, int32 `[N]`; `is_text`, bool `[N]`, says which bytes are the text;
`kind`, int32 `[N]`, is the class of the character that a byte is part of; `is_lead`, bool `[N]`, says where a character
begins; `is_run_start`, bool `[N]`, where a run of one class begins.
"""

import functools
from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

from autocomplete.graph.bpe import Split
from autocomplete.graph.bpe_tables import LETTER, NUMBER, OTHER, SPACE, CharacterClasses
from autocomplete.graph.utf8 import characters, over_characters, shift, shift_bool
from autocomplete.tokenizer.pre_tokenizers import DIGITS, GPT2, LLAMA3, QWEN

KNOWN = (GPT2, DIGITS, LLAMA3, QWEN)
_LONG_S = 0xC5BF  # U+017F in UTF-8
SegmentReduce: TypeAlias = Callable[[tf.Tensor, tf.Tensor, int], tf.Tensor]


def starts(words: str, classes: CharacterClasses) -> Split:
    """A function from (`text`, `is_text`) to where words begin, bool `[N]`, by that pattern."""
    if words == GPT2:
        return functools.partial(gpt2_starts, classes=classes)
    if words == DIGITS:
        return functools.partial(digits_starts, classes=classes)
    return functools.partial(llama3_starts, classes=classes, max_digits={LLAMA3: 3, QWEN: 1}[words])


def gpt2_starts(text: tf.Tensor, is_text: tf.Tensor, classes: CharacterClasses) -> tf.Tensor:
    r"""Where words begin, bool `[N]`, by GPT-2's pattern (OpenAI, encoder.py).

    `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

    A run of one class is a word, and the blank before it is part of it. Of a run of white space before a word the last
    character is a word by itself, or a part of the next one if it is a blank. A contraction ends behind itself.
    """
    kind, is_lead = _classes(text, classes)
    kind = tf.where(is_text, kind, -1)
    kind_before, kind_after = shift(kind, 1, -1), _after_character(kind, is_lead)
    is_blank_before = tf.equal(shift(text, 1, 0), 0x20)
    is_space = tf.equal(kind, SPACE)
    is_run_start = tf.not_equal(kind, kind_before)
    is_last_space = tf.logical_and(
        tf.logical_and(is_space, is_lead), tf.logical_and(kind_after != SPACE, kind_after >= 0)
    )
    is_start = tf.logical_or(
        is_last_space, tf.logical_and(is_run_start, tf.logical_or(is_space, tf.logical_not(is_blank_before)))
    )
    is_start = tf.logical_and(is_start, is_text)
    return _with_contractions(text, is_start, is_text, fold_case=False)


def digits_starts(text: tf.Tensor, is_text: tf.Tensor, classes: CharacterClasses) -> tf.Tensor:
    """Where words begin as in `gpt2_starts`; but each digit is a word, and parts between digits are separate texts."""
    kind, is_lead = _classes(tf.where(is_text, text, 0), classes)
    is_digit = tf.logical_and(is_text, tf.equal(kind, NUMBER))
    is_rest = tf.logical_and(is_text, tf.logical_not(is_digit))
    rest_starts = gpt2_starts(tf.where(is_rest, text, 0), is_rest, classes)
    return tf.logical_or(rest_starts, tf.logical_and(is_digit, is_lead))


def llama3_starts(text: tf.Tensor, is_text: tf.Tensor, classes: CharacterClasses, max_digits: int) -> tf.Tensor:
    r"""Where words begin, bool `[N]`, by Llama 3's pattern with 3 `max_digits`, or Qwen's with 1.

    `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|`
    `\s*[\r\n]+|\s+(?!\S)|\s+`

    A run of letters takes one character before it, if a word begins there: the last of white space that is no line end,
    or a single sign without a blank before it, which would take the blank. Line ends belong to the signs before them;
    others end a word that begins with the white space before them.
    """
    kind, is_lead = _classes(text, classes)
    kind = tf.where(is_text, kind, -1)
    kind_before, kind_after, byte_before = shift(kind, 1, -1), _after_character(kind, is_lead), shift(text, 1, 0)
    is_run_start = tf.not_equal(kind, kind_before)
    is_sign_start = tf.logical_and(
        tf.logical_and(is_run_start, is_lead), tf.logical_and(tf.equal(kind, OTHER), byte_before != 0x20)
    )
    is_single_sign = over_characters(tf.logical_and(is_sign_start, tf.equal(kind_after, LETTER)), is_lead)
    is_behind_line_end = tf.logical_or(tf.equal(byte_before, 0x0A), tf.equal(byte_before, 0x0D))
    has_prefix = tf.logical_or(
        shift_bool(is_single_sign, 1),
        tf.logical_and(tf.equal(kind_before, SPACE), tf.logical_not(is_behind_line_end)),
    )
    is_letter_start = tf.logical_and(tf.logical_and(is_run_start, tf.equal(kind, LETTER)), tf.logical_not(has_prefix))
    is_start = tf.logical_or(is_sign_start, is_letter_start)
    is_start = tf.logical_or(is_start, _number_starts(kind, is_lead, is_run_start, max_digits))
    is_run_end = tf.logical_and(is_lead, tf.logical_and(kind_after >= 0, tf.not_equal(kind_after, kind)))
    is_start = tf.logical_or(is_start, _space_starts(text, kind, is_run_end, is_run_start))
    return _with_contractions(text, tf.logical_and(is_start, is_text), is_text, fold_case=True)


def _number_starts(kind: tf.Tensor, is_lead: tf.Tensor, is_run_start: tf.Tensor, max_digits: int) -> tf.Tensor:
    """Where words of digits begin: at every `max_digits` digits of a run."""
    is_digit = tf.logical_and(is_lead, tf.equal(kind, NUMBER))
    count = tf.cumsum(tf.cast(is_digit, tf.int32))
    index_in_run = count - _over_run(tf.math.unsorted_segment_min, count, is_run_start)
    return tf.logical_and(is_digit, tf.equal(tf.math.floormod(index_in_run, max_digits), 0))


def _space_starts(text: tf.Tensor, kind: tf.Tensor, is_run_end: tf.Tensor, is_run_start: tf.Tensor) -> tf.Tensor:
    """Where words of white space begin; `is_run_end`, bool `[N]`, says which characters are the last of their run."""
    place, size = tf.range(text.shape[0]), text.shape[0]
    is_space = tf.equal(kind, SPACE)
    is_line_end = tf.logical_and(is_space, tf.logical_or(tf.equal(text, 0x0A), tf.equal(text, 0x0D)))
    is_behind_sign = tf.cast(tf.logical_and(is_run_start, tf.equal(shift(kind, 1, -1), OTHER)), tf.int32)
    is_behind_sign = _over_run(tf.math.unsorted_segment_max, is_behind_sign, is_run_start) > 0
    first_blank = _over_run(tf.math.unsorted_segment_min, tf.where(is_line_end, size, place), is_run_start)
    belongs_to_sign = tf.logical_and(tf.logical_and(is_line_end, is_behind_sign), place < first_blank)
    is_own = tf.logical_and(is_space, tf.logical_not(belongs_to_sign))
    line_end = tf.where(tf.logical_and(is_line_end, is_own), place, -1)
    is_behind_last_line_end = tf.equal(place - 1, _over_run(tf.math.unsorted_segment_max, line_end, is_run_start))
    is_first = tf.logical_or(tf.logical_or(is_run_start, shift_bool(belongs_to_sign, 1)), is_behind_last_line_end)
    is_last = tf.logical_and(is_run_end, tf.logical_not(is_line_end))
    return tf.logical_and(is_own, tf.logical_or(is_first, is_last))


def _over_run(reduce: SegmentReduce, values: tf.Tensor, is_run_start: tf.Tensor) -> tf.Tensor:
    """The values reduced over each run, at every byte of the run, int32 `[N]`."""
    runs = tf.cumsum(tf.cast(is_run_start, tf.int32))
    return tf.gather(reduce(values, runs, values.shape[0] + 1), runs)


def _classes(text: tf.Tensor, classes: CharacterClasses) -> tuple[tf.Tensor, tf.Tensor]:
    """`kind` and `is_lead`; a byte that is part of no character is a sign by itself."""
    chars = characters(text)
    page = tf.cast(tf.gather(classes.page_of, chars.point // 256), tf.int32)
    kind_of_lead = tf.cast(tf.gather(classes.pages.reshape(-1), page * 256 + chars.point % 256), tf.int32)
    kind = tf.where(tf.logical_and(chars.lead, chars.valid), kind_of_lead, OTHER)
    for _ in range(3):  # a continuation byte has the class of the byte before it
        kind = tf.where(chars.lead, kind, shift(kind, 1, OTHER))
    return kind, chars.lead


def _after_character(kind: tf.Tensor, is_lead: tf.Tensor) -> tf.Tensor:
    """At each first byte the class of the next character, -1 at the end of the text, int32 `[N]`."""
    kind_after = tf.fill(kind.shape, -1)
    is_known = tf.zeros(kind.shape, tf.bool)
    for i in range(1, 5):
        is_next = tf.logical_and(tf.logical_not(is_known), shift(tf.cast(is_lead, tf.int32), -i, 1) > 0)
        kind_after = tf.where(is_next, shift(kind, -i, -1), kind_after)
        is_known = tf.logical_or(is_known, is_next)
    return kind_after


def _with_contractions(text: tf.Tensor, is_start: tf.Tensor, is_text: tf.Tensor, *, fold_case: bool) -> tf.Tensor:
    """The starts without those inside a contraction, and with those behind one."""
    folded = tf.where(tf.logical_and(text >= ord("A"), text <= ord("Z")), text + 32, text) if fold_case else text
    one, two = shift(folded, -1, 0), shift(folded, -2, 0)
    is_quote = tf.logical_and(is_start, tf.equal(text, ord("'")))
    is_single = tf.reduce_any(tf.equal(tf.expand_dims(one, 1), [ord(c) for c in "stmd"]), axis=1)
    is_pair = tf.equal(one * 256 + two, ord("r") * 256 + ord("e"))
    for a, b in ("ve", "ll"):
        is_pair = tf.logical_or(is_pair, tf.equal(one * 256 + two, ord(a) * 256 + ord(b)))
    if fold_case:  # the long s folds to an s; it has two bytes
        is_pair = tf.logical_or(is_pair, tf.equal(one * 256 + two, _LONG_S))
    is_short, is_long = tf.logical_and(is_quote, is_single), tf.logical_and(is_quote, is_pair)
    is_inside = tf.logical_or(shift_bool(is_short, 1), shift_bool(is_long, 1))
    is_behind = tf.logical_or(shift_bool(is_short, 2), shift_bool(is_long, 3))
    return tf.logical_and(is_text, tf.logical_or(is_behind, tf.logical_and(is_start, tf.logical_not(is_inside))))
