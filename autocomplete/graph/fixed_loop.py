"""The loop of growing_loop.py with tensors of static shape, for runtimes that are wrong on growing ones.

XNNPACK of TF 2.18 keeps writing to where a tensor was before it grew, without an error. TFLite 2.12 does not know the
operators. Here the core occurs twice: for a chunk of the prompt, and for one token.

Each token reads every slot, so `past` and `recent` together have no more slots than the longest answer has tokens. The
first round of the outer loop is short, so that the last round begins where `past` is full and need not extend it.

Shapes: N sequence_length, C tokens of a chunk, L rows of logits, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

from autocomplete.common.artifacts import Conversion
from autocomplete.graph import attention, core_calls, sampler
from autocomplete.graph.attention import MASKED
from autocomplete.graph.core_calls import StepShape
from autocomplete.graph.loop_plan import LoopLengths, LoopPlan
from autocomplete.graph.positions import PAST_POS, RECENT_POS
from autocomplete.model.config import DecoderConfig


def lengths_for(conversion: Conversion) -> LoopLengths:
    """The lengths of a conversion; the chunk is the shortest, as a padded chunk costs as much as a full one."""
    return LoopLengths(conversion.sequence_length, conversion.prefill_lengths[0])


def step_shapes(lengths: LoopLengths) -> dict[str, StepShape]:
    """The core's signatures that this loop calls, by name: for a chunk, and for one token.

    `recent` has at most a quarter of the slots: the first round may begin behind a prompt that fills half of them.
    """
    sequence_length, chunk = lengths.sequence_length, lengths.prefill_chunk
    recent = max(min(lengths.recent_slots, sequence_length // 4), 1)
    past = max(sequence_length - recent, chunk, recent)
    shapes = StepShape(chunk, chunk, past), StepShape(1, recent, past)
    return {f"{core_calls.STEP}_{shape.tokens}": shape for shape in shapes}


def generate(tokens: tf.Tensor, count: tf.Tensor, plan: LoopPlan) -> tuple[tf.Tensor, tf.Tensor]:
    """Continues a prompt; arguments and results as in `growing_loop.generate`."""
    config, lengths = plan.config, plan.lengths
    (prefill_step, chunk), (decode_step, one) = step_shapes(lengths).items()
    padded_length = lengths.sequence_length + lengths.prefill_chunk
    ids = tf.slice(tf.concat([tokens, tf.fill([padded_length], plan.pad_id)], 0), [0], [padded_length])
    # `past` must have room for a whole `recent` behind what prefill reads. The end of a longer prompt is decoded.
    num_prefilled = tf.minimum(count, one.past - one.recent + 1)
    past = _prefill(ids, num_prefilled, config, (prefill_step, chunk))

    def goes_on(length: tf.Tensor, has_ended: tf.Tensor, *_: Any) -> tf.Tensor:
        return tf.logical_and(tf.logical_not(has_ended), length < plan.max_length)

    def outer(length: tf.Tensor, has_ended: tf.Tensor, ids: tf.Tensor, *past: tf.Tensor) -> list[tf.Tensor]:
        start = length - 1
        round_length = tf.math.floormod(one.past - start - 1, one.recent) + 1

        def fits(length: tf.Tensor, has_ended: tf.Tensor, *_: Any) -> tf.Tensor:
            return tf.logical_and(goes_on(length, has_ended), length <= start + round_length)

        def inner(length: tf.Tensor, has_ended: tf.Tensor, ids: tf.Tensor, *cache: tf.Tensor) -> list[tf.Tensor]:
            inputs = _step_inputs(config, ids, length - 1, start, one)
            logits, recent = core_calls.call_step(config, inputs, cache, decode_step)
            token = tf.reshape(plan.choose(tf.reshape(logits, [1, config.vocab_size]), length), [])
            is_new = length >= count
            is_place = tf.logical_and(tf.equal(tf.range(ids.shape[0]), length), is_new)
            has_ended = tf.logical_and(sampler.is_any_of(token, plan.end_token_ids), is_new)
            return [length + 1, has_ended, tf.where(is_place, token, ids), *recent, *cache[len(recent) :]]

        state = [length, has_ended, ids, *attention.empty_cache(config, one.recent), *past]
        length, has_ended, ids, *cache = tf.while_loop(fits, inner, state)
        # It extends its own `past`, as in growing_loop.py.
        return [length, has_ended, ids, *_updated(past, cache[: len(past)], start)]

    state = [num_prefilled, tf.constant(False), tf.where(tf.range(ids.shape[0]) < count, ids, plan.pad_id), *past]
    length, _, ids, *_ = tf.while_loop(goes_on, outer, state)
    return tf.slice(ids, [0], [lengths.sequence_length]), tf.maximum(length, count)


def _prefill(ids: tf.Tensor, count: tf.Tensor, config: DecoderConfig, step: tuple[str, StepShape]) -> list[tf.Tensor]:
    """`past` after all but the last of `count` tokens, read in chunks; slots behind them stay masked until rewritten.

    A chunk that would reach beyond `past` begins earlier, and reads some tokens again.
    """
    name, shape = step

    def read_chunk(first: tf.Tensor, *past: tf.Tensor) -> list[tf.Tensor]:
        first = tf.minimum(first, shape.past - shape.tokens)
        cache = [*attention.empty_cache(config, shape.recent), *past]
        _, recent = core_calls.call_step(config, _step_inputs(config, ids, first, first, shape), cache, name)
        return [first + shape.tokens, *_updated(past, recent, first)]

    state = [tf.constant(0), *attention.empty_cache(config, shape.past)]
    return list(tf.while_loop(lambda first, *_: first < count - 1, read_chunk, state)[1:])


def _updated(past: Sequence[tf.Tensor], recent: Sequence[tf.Tensor], first: tf.Tensor) -> list[tf.Tensor]:
    """Past keys and values with the recent ones in the slots from `first` on."""
    starts = [first * tf.one_hot(axis, 4, dtype=tf.int32) for axis in attention.SLOT_AXES]
    updates = zip(past, recent, starts * (len(past) // 2), strict=True)
    return [xla.dynamic_update_slice(*operands) for operands in updates]


def _step_inputs(
    config: DecoderConfig, ids: tf.Tensor, first: tf.Tensor, start: tf.Tensor, shape: StepShape
) -> dict[str, tf.Tensor]:
    """The inputs of a step without the cache: it reads tokens from `first` on; `recent` holds those from `start` on."""
    positions = first + tf.range(shape.tokens)
    slots = start + tf.range(shape.recent)
    is_visible = slots <= tf.expand_dims(positions, 1)
    write_mask = tf.ones([shape.recent]) if shape.tokens > 1 else tf.cast(tf.equal(slots, first), tf.float32)
    slot_positions = {RECENT_POS: slots, PAST_POS: tf.range(shape.past)} if config.has_sliding_window else {}
    return slot_positions | {
        "tokens": tf.reshape(tf.slice(ids, [first], [shape.tokens]), [1, shape.tokens]),
        "input_pos": positions,
        "last": tf.constant([shape.tokens - 1]),
        "recent_mask": tf.reshape(tf.where(is_visible, 0.0, MASKED), [1, 1, shape.tokens, shape.recent]),
        "past_mask": tf.reshape(tf.where(tf.range(shape.past) < start, 0.0, MASKED), [1, 1, 1, shape.past]),
        "slots": tf.reshape(write_mask, [1, 1, shape.recent, 1]),
    }
