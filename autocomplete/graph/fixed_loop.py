"""The loop of growing_loop.py with tensors of fixed shape, for runtimes that compute wrongly on growing ones.

XNNPACK of TF 2.18 keeps writing where a tensor was before it grew, without an error; TFLite 2.12 does not know the
operators. Here the core comes twice: for a chunk of the prompt, and for one token. Every slot is read for every token,
so `past` and `recent` have together no more than the longest answer has tokens: the first round of the outer loop is
cut short, so that the last one begins where `past` is full, and what it says never joins it.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

from autocomplete.graph import attention, core_calls, sampler
from autocomplete.graph.attention import MASKED
from autocomplete.graph.core_calls import Room
from autocomplete.graph.growing_loop import Lengths, Plan
from autocomplete.graph.positions import PAST, RECENT
from autocomplete.model.decoder import Shape


def rooms(lengths: Lengths) -> dict[str, Room]:
    """The core's signatures that this loop calls, by name.

    `recent` has a quarter of the slots at most: the first round may begin behind a prompt that fills half of them.
    """
    recent = max(min(lengths.recent, lengths.sequence // 4), 1)
    past = max(lengths.sequence - recent, lengths.chunk, recent)
    sizes = Room(lengths.chunk, lengths.chunk, past), Room(1, recent, past)
    return {f"{core_calls.STEP}_{size.tokens}": size for size in sizes}


def generate(tokens: tf.Tensor, count: tf.Tensor, plan: Plan) -> tuple[tf.Tensor, tf.Tensor]:
    """Continues a prompt; arguments and results as in `loop.generate`."""
    shape, lengths = plan.shape, plan.lengths
    (reading, chunk), (writing, one) = rooms(lengths).items()
    spare = tf.fill([lengths.sequence + lengths.chunk], plan.end)
    ids = tf.slice(tf.concat([tokens, spare], 0), [0], [lengths.sequence + lengths.chunk])
    # `past` has room for all of `recent` behind the first round's beginning: a longer prompt's end is read one by one.
    begun = tf.minimum(count, one.past - one.recent + 1)
    past = _prefill(ids, begun, shape, (reading, chunk))

    def more(known: tf.Tensor, ended: tf.Tensor, *_: Any) -> tf.Tensor:
        return tf.logical_and(tf.logical_not(ended), known < plan.maximum)

    def outer(known: tf.Tensor, ended: tf.Tensor, ids: tf.Tensor, *past: tf.Tensor) -> list[tf.Tensor]:
        start = known - 1
        room = tf.math.floormod(one.past - start - 1, one.recent) + 1  # tokens read until the next round begins

        def within(known: tf.Tensor, ended: tf.Tensor, *_: Any) -> tf.Tensor:
            return tf.logical_and(more(known, ended), known <= start + room)

        def inner(known: tf.Tensor, ended: tf.Tensor, ids: tf.Tensor, *cache: tf.Tensor) -> list[tf.Tensor]:
            logits, recent = core_calls.call_step(
                shape, _inputs(ids, known - 1, start, one, windowed=shape.windowed), cache, writing
            )
            token = tf.reshape(plan.choose(tf.reshape(logits, [1, shape.vocabulary]), known), [])
            said = known >= count
            here = tf.logical_and(tf.equal(tf.range(ids.shape[0]), known), said)
            ended = tf.logical_and(sampler.any_of(token, plan.ends), said)
            return [known + 1, ended, tf.where(here, token, ids), *recent, *cache[len(recent) :]]

        state = [known, ended, ids, *attention.empty(shape, one.recent), *past]
        known, ended, ids, *cache = tf.while_loop(within, inner, state)
        # its own `past`, as in loop.py
        return [known, ended, ids, *_join(past, cache[: len(past)], start)]

    state = [begun, tf.constant(False), tf.where(tf.range(ids.shape[0]) < count, ids, plan.end), *past]
    known, _, ids, *_ = tf.while_loop(more, outer, state)
    return tf.slice(ids, [0], [lengths.sequence]), tf.maximum(known, count)


def _prefill(ids: tf.Tensor, count: tf.Tensor, shape: Shape, reading: tuple[str, Room]) -> list[tf.Tensor]:
    """Reads all but the last token in chunks; slots written past them are masked until they are written again.

    A chunk that would reach beyond `past` begins earlier, and reads some tokens once more.
    """
    name, room = reading

    def chunk(first: tf.Tensor, *past: tf.Tensor) -> list[tf.Tensor]:
        first = tf.minimum(first, room.past - room.tokens)
        cache = [*attention.empty(shape, room.recent), *past]
        _, updated = core_calls.call_step(shape, _inputs(ids, first, first, room, windowed=shape.windowed), cache, name)
        return [first + room.tokens, *_join(past, updated, first)]

    state = [tf.constant(0), *attention.empty(shape, room.past)]
    return list(tf.while_loop(lambda first, *_: first < count - 1, chunk, state)[1:])


def _join(past: Sequence[tf.Tensor], recent: Sequence[tf.Tensor], first: tf.Tensor) -> list[tf.Tensor]:
    """Past keys and values with the recent ones in the slots from `first` on."""
    starts = [first * tf.one_hot(axis, 4, dtype=tf.int32) for axis in attention.SLOT_AXES]
    written = zip(past, recent, starts * (len(past) // 2), strict=True)
    return [xla.dynamic_update_slice(*operands) for operands in written]


def _inputs(ids: tf.Tensor, first: tf.Tensor, start: tf.Tensor, room: Room, *, windowed: bool) -> dict[str, tf.Tensor]:
    """The small inputs of a step that reads tokens from `first` on, with recent slots from `start` on."""
    positions = first + tf.range(room.tokens)
    slots = start + tf.range(room.recent)
    visible = slots <= tf.expand_dims(positions, 1)
    written = tf.ones([room.recent]) if room.tokens > 1 else tf.cast(tf.equal(slots, first), tf.float32)
    places = {RECENT: slots, PAST: tf.range(room.past)} if windowed else {}
    return places | {
        "tokens": tf.reshape(tf.slice(ids, [first], [room.tokens]), [1, room.tokens]),
        "input_pos": positions,
        "last": tf.constant([room.tokens - 1]),
        "recent_mask": tf.reshape(tf.where(visible, 0.0, MASKED), [1, 1, room.tokens, room.recent]),
        "past_mask": tf.reshape(tf.where(tf.range(room.past) < start, 0.0, MASKED), [1, 1, 1, room.past]),
        "slots": tf.reshape(written, [1, 1, room.recent, 1]),
    }
