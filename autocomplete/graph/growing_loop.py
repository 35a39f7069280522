"""The loop around the core, with tensors that grow: the prompt in chunks, then token by token until the end token.

The KV cache has two parts (attention.py). An inner loop fills `recent` and passes `past` through untouched, which costs
nothing. The outer loop appends `recent` to `past` when it is full. Both loops, prefill and decoding share one copy of
the core, whose shapes follow the number of tokens: a runtime packs its weights once.

Where the text repeats itself (prompt_lookup.py), a step reads several draft tokens. That costs little more than one
token, as each weight is read once. The drafts that the model would have chosen are accepted: the answer is the same.

Shapes: N sequence_length, L rows of logits, V vocabulary. The state of the loops is `length` (tokens of the text so
far), `num_read` (how many of them the core has read), `ids` int32 `[N]`, and the cache.
"""

import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from autocomplete.common.artifacts import Conversion
from autocomplete.graph import attention, core_calls, prompt_lookup, sampler
from autocomplete.graph.attention import MASKED
from autocomplete.graph.core_calls import GrowingStepShape
from autocomplete.graph.loop_plan import LoopLengths, LoopPlan
from autocomplete.graph.positions import PAST_POS, RECENT_POS
from autocomplete.model.config import DecoderConfig


def lengths_for(conversion: Conversion) -> LoopLengths:
    """The lengths of a conversion."""
    chunk, draft_tokens = conversion.prefill_lengths[-1], conversion.draft_tokens
    return LoopLengths(conversion.sequence_length, chunk, draft_tokens=draft_tokens)


def step_shapes(lengths: LoopLengths) -> dict[str, GrowingStepShape]:
    """The core's signature that this loop calls, by name."""
    return {core_calls.STEP: GrowingStepShape(1 if lengths.draft_tokens == 1 else None)}


def generate(tokens: tf.Tensor, count: tf.Tensor, plan: LoopPlan) -> tuple[tf.Tensor, tf.Tensor]:
    """Continues a prompt.

    Args:
      tokens: int32 `[n]`, the prompt's ids, then anything.
      count: int32 `[]`, the prompt's length, from 1 to n.
      plan: what the loop goes by.

    Returns:
      The answer: ids int32 `[N]`, prompt included and padded, and their number int32 `[]`.
    """
    config, sequence_length = plan.config, plan.lengths.sequence_length
    padded = tf.concat([tokens, tf.fill([sequence_length], plan.pad_id)], 0)[:sequence_length]
    ids = tf.where(tf.range(sequence_length) < count, padded, plan.pad_id)
    # `past` starts with one slot, which stays masked: XNNPACK refuses tensors without elements.
    state = [count, tf.constant(0), ids, *attention.empty_cache(config, 1)]
    length, _, ids, *_ = tf.while_loop(
        lambda length, num_read, *_: _goes_on(plan, length, num_read),
        lambda *state: _outer_round(plan, *state),
        state,
        shape_invariants=_shape_invariants(state[:3], 1, config),
    )
    # Results of a loop with growing shapes lie in memory of its own, into which CompiledModel cannot write an output.
    # So each result passes through one more operator.
    length = tf.maximum(length, count)
    return tf.where(tf.range(sequence_length) < length, ids, plan.pad_id), length


def _goes_on(plan: LoopPlan, length: tf.Tensor, num_read: tf.Tensor) -> tf.Tensor:
    """Whether there is anything left to do."""
    return tf.logical_and(num_read < length, length < plan.max_length)


def _outer_round(
    plan: LoopPlan, length: tf.Tensor, num_read: tf.Tensor, ids: tf.Tensor, *past: tf.Tensor
) -> list[tf.Tensor]:
    """Reads a chunk of the prompt, or drafts, or decodes as many tokens as `recent` has slots; then extends `past`.

    Only drafts can be wrong. Slots behind the accepted ones are cut off `recent` before it joins `past`.
    """
    config, start = plan.config, num_read
    ids, logit_rows = _with_drafts(plan, length, num_read, ids)
    width = tf.minimum(length - num_read, plan.lengths.prefill_chunk)
    width = width if logit_rows is None else tf.maximum(width, logit_rows)
    slots = tf.where(width > 1, width, _decode_slots(plan, num_read))

    def fits(length: tf.Tensor, num_read: tf.Tensor, *_: Any) -> tf.Tensor:
        return tf.logical_and(_goes_on(plan, length, num_read), num_read + width <= start + slots)

    def step(length: tf.Tensor, num_read: tf.Tensor, ids: tf.Tensor, *cache: tf.Tensor) -> list[tf.Tensor]:
        inputs = _step_inputs(config, ids, (num_read, width), (start, slots), tf.shape(cache[-1])[2])
        inputs["last"] = tf.reshape(width - 1, [1]) if logit_rows is None else tf.range(width - logit_rows, width)
        logits, recent = core_calls.call_step(config, inputs, cache)
        return [*_after_step(plan, logits, length, num_read + width, ids), *recent, *cache[len(recent) :]]

    state = [length, num_read, ids, *attention.empty_cache(config, slots), *past]
    length, num_read, ids, *cache = tf.while_loop(
        fits, step, state, shape_invariants=_shape_invariants(state[:3], 2, config)
    )
    # It extends its own `past`, not the inner loop's result: results that nobody reads are not copied in each step.
    num_kept = None if logit_rows is None else tf.minimum(num_read - start, slots)
    return [length, num_read, ids, *_extended(past, cache[: len(past)], num_kept)]


def _with_drafts(
    plan: LoopPlan, length: tf.Tensor, num_read: tf.Tensor, ids: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor | None]:
    """The ids with draft tokens behind the text, and how many rows of logits a step needs; None for always one."""
    if not plan.has_drafts:
        return ids, None
    ids, has_draft = prompt_lookup.draft(ids, length, plan.lengths.draft_tokens - 1)
    fits = length + plan.lengths.draft_tokens <= plan.max_length
    is_used = functools.reduce(tf.logical_and, [plan.may_draft, tf.equal(num_read, length - 1), fits, has_draft])
    return ids, tf.where(is_used, plan.lengths.draft_tokens, 1)


def _decode_slots(plan: LoopPlan, num_read: tf.Tensor) -> tf.Tensor | int:
    """Slots of `recent` for tokens that are decoded one by one.

    Drafts are sought once in a round. Rounds are short as long as extending `past`, a copy, costs little.
    """
    most = plan.lengths.recent_slots
    if not plan.has_drafts:
        return most
    return tf.where(plan.may_draft, tf.clip_by_value(num_read // most, min(4, most), most), most)


def _after_step(
    plan: LoopPlan, logits: tf.Tensor, length: tf.Tensor, num_read: tf.Tensor, ids: tf.Tensor
) -> list[tf.Tensor]:
    """`length`, `num_read` and `ids` after a step that read all tokens before `num_read`.

    If these are the whole text, the logits `[1, L, V]` add a token, or the accepted drafts and one more.
    """
    is_whole = num_read >= length
    logits = tf.reshape(logits, [-1 if plan.has_drafts else 1, plan.config.vocab_size])
    if not plan.has_drafts:
        token = plan.choose(logits, length)
        ids = tf.where(tf.equal(tf.range(plan.lengths.sequence_length), length), token, ids)
        length = length + tf.cast(is_whole, tf.int32)
    else:
        ids, extended = prompt_lookup.accept(plan.choose(logits, length), ids, length, plan.end_token_ids)
        token = tf.gather(ids, extended - 1)
        num_read = tf.minimum(num_read, extended - 1)  # rejected drafts do not count as read
        length = tf.where(is_whole, extended, length)
    # An end token counts, and is never read: nothing is left to do then.
    has_ended = tf.logical_and(is_whole, sampler.is_any_of(tf.reshape(token, []), plan.end_token_ids))
    return [length, tf.where(has_ended, length, num_read), ids]


def _extended(past: Sequence[tf.Tensor], recent: Sequence[tf.Tensor], num_kept: tf.Tensor | None) -> list[tf.Tensor]:
    """Past keys and values, and behind them the first `num_kept` of the recent ones, or all."""
    axes = attention.SLOT_AXES * (len(past) // 2)
    if num_kept is not None:
        sizes = {axis: tf.where(tf.equal(tf.range(4), axis), num_kept, -1) for axis in set(axes)}
        recent = [tf.slice(new, [0] * 4, sizes[axis]) for new, axis in zip(recent, axes, strict=True)]
    return [tf.concat(pair, axis) for *pair, axis in zip(past, recent, axes, strict=True)]


def _shape_invariants(others: Sequence[tf.Tensor], num_caches: int, config: DecoderConfig) -> list[tf.TensorShape]:
    """Shapes of a loop's state: tensors that keep theirs, then caches, which grow."""
    cache = [tf.TensorShape(shape) for shape in attention.cache_shapes(config, None)]
    return [t.shape for t in others] + cache * num_caches


def _step_inputs(
    config: DecoderConfig,
    ids: tf.Tensor,
    read: tuple[tf.Tensor, tf.Tensor],
    recent: tuple[tf.Tensor, tf.Tensor],
    past_slots: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """The inputs of `step` without `last` and the cache.

    Args:
      config: the decoder's configuration.
      ids: int32 `[N]`.
      read: the first token that is read, and how many are.
      recent: the token that the first slot of `recent` holds, and how many slots there are.
      past_slots: slots of `past`, the first of which holds no token.
    """
    first, width = read
    start, slots = recent
    positions = first + tf.range(width)
    slot_numbers = tf.range(slots)
    is_visible = start + slot_numbers[tf.newaxis] <= positions[:, tf.newaxis]
    is_written = tf.logical_or(width > 1, tf.equal(start + slot_numbers, first))
    slot_positions = {}
    if config.has_sliding_window:
        slot_positions = {RECENT_POS: start + slot_numbers, PAST_POS: tf.range(past_slots) - 1}
    return slot_positions | {
        "tokens": tf.slice(ids, [first], [width])[tf.newaxis],
        "input_pos": positions,
        "recent_mask": tf.where(is_visible, 0.0, MASKED)[tf.newaxis, tf.newaxis],
        "past_mask": tf.where(tf.range(past_slots) > 0, 0.0, MASKED)[tf.newaxis, tf.newaxis, tf.newaxis],
        "slots": tf.cast(is_written, tf.float32)[tf.newaxis, tf.newaxis, :, tf.newaxis],
    }
