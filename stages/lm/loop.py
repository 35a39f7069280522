"""The loop around the core, inside the graph: the prompt in chunks, then token by token until the end token.

The KV cache has two parts (stages/lm/attention.py): `past` grows when `recent` is full. An inner loop fills `recent`
and hands `past` through untouched, which costs nothing; the outer loop joins the two once in a while. Both loops and
both phases share one copy of the core, whose shapes follow the number of tokens: a runtime packs its weights once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from stages.lm import attention, core
from stages.lm.attention import MASKED
from stages.lm.decoder import Shape
from stages.lm.positions import PAST, RECENT

# (logits [vocab], how many tokens there are) → the id of the next one, int32 []
Choose = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Lengths:
    """In tokens: the longest answer, prompt included; what one pass over the prompt reads; room in `recent`."""

    sequence: int
    chunk: int
    recent: int = 16


@dataclass(frozen=True)
class Plan:
    """What a loop goes by: the decoder's dimensions, the id that ends a text, sizes, the sampler, the longest answer.

    `maximum` is int32 `[]`: how many tokens there may be in the end, the prompt's included; at most `sequence`.
    """

    shape: Shape
    end: int
    lengths: Lengths
    choose: Choose
    maximum: tf.Tensor


def generate(tokens: tf.Tensor, count: tf.Tensor, plan: Plan) -> tuple[tf.Tensor, tf.Tensor]:
    """Continues a prompt.

    Args:
      tokens: int32 `[n]`, the prompt's ids, then anything.
      count: int32 `[]`, the prompt's length, from 1 to n.
      plan: what the loop goes by.

    Returns:
      int32 `[sequence]`, the prompt and the new ids, filled up with the end's id; int32 `[]`, how many they are.
    """
    shape, sequence = plan.shape, plan.lengths.sequence
    padded = tf.concat([tokens, tf.fill([sequence], plan.end)], 0)[:sequence]
    ids = tf.where(tf.range(sequence) < count, padded, plan.end)
    # No slot at all would be a tensor without elements, which XNNPACK refuses: the first one is masked for good.
    state = [count, tf.constant(0), ids, *attention.empty(shape, 1, fixed_shape=False)]
    known, _, ids, *_ = tf.while_loop(
        lambda known, done, *_: _more(plan, known, done), lambda *state: _fill_recent(plan, *state), state,
        shape_invariants=_invariants(state[:3], 1, shape),
    )  # fmt: skip
    # Results of a loop of growing shapes lie in memory of its own, into which CompiledModel cannot write an output:
    # each passes one more operator.
    known = tf.maximum(known, count)
    return tf.where(tf.range(sequence) < known, ids, plan.end), known


def _more(plan: Plan, known: tf.Tensor, done: tf.Tensor) -> tf.Tensor:
    """Whether anything is left to do with `known` tokens, of which `done` were read."""
    return tf.logical_and(done < known, known < plan.maximum)


def _fill_recent(plan: Plan, known: tf.Tensor, done: tf.Tensor, ids: tf.Tensor, *past: tf.Tensor) -> list[tf.Tensor]:
    """A round of the outer loop: reads part of the prompt, or says as many tokens as `recent` has room for."""
    shape, start = plan.shape, done
    width = tf.minimum(known - done, plan.lengths.chunk)
    room = tf.where(width > 1, width, plan.lengths.recent)

    def within(known: tf.Tensor, done: tf.Tensor, *_: Any) -> tf.Tensor:
        return tf.logical_and(_more(plan, known, done), done + width <= start + room)

    def step(known: tf.Tensor, done: tf.Tensor, ids: tf.Tensor, *cache: tf.Tensor) -> list[tf.Tensor]:
        inputs = _inputs(ids, (done, width), (start, room), tf.shape(cache[-1])[2], windowed=shape.windowed)
        logits, recent = core.call_step(shape, inputs, cache)
        return [*_said(plan, logits, known, done + width, ids), *recent, *cache[len(recent) :]]

    state = [known, done, ids, *attention.empty(shape, room, fixed_shape=False), *past]
    known, done, ids, *cache = tf.while_loop(within, step, state, shape_invariants=_invariants(state[:3], 2, shape))
    # The loop's own `past`, not what it hands back: results that nobody reads are not copied in each round.
    return [known, done, ids, *_joined(past, cache[: len(past)])]


def _said(plan: Plan, logits: tf.Tensor, known: tf.Tensor, done: tf.Tensor, ids: tf.Tensor) -> list[tf.Tensor]:
    """`known`, `done` and `ids` after a step: with one token more, if all the known ones are read."""
    token = plan.choose(tf.reshape(logits, [plan.shape.vocabulary]), known)
    fresh = tf.logical_and(tf.equal(tf.range(plan.lengths.sequence), known), tf.equal(done, known))
    ids = tf.where(fresh, token, ids)
    # an end token is counted and never read: nothing is left to do then
    ended = tf.logical_and(tf.equal(done, known), tf.equal(token, plan.end))
    known = known + tf.cast(tf.equal(done, known), tf.int32)
    return [known, tf.where(ended, known, done), ids]


def _joined(past: Sequence[tf.Tensor], recent: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    axes = attention.slot_axes(fixed_shape=False) * (len(past) // 2)
    return [tf.concat(pair, axis) for *pair, axis in zip(past, recent, axes, strict=True)]


def _invariants(others: Sequence[tf.Tensor], caches: int, shape: Shape) -> list[tf.TensorShape]:
    """Shapes of a loop's state: some tensors that keep theirs, then so many caches, which grow."""
    cache = [tf.TensorShape(size) for size in attention.sizes(shape, None, fixed_shape=False)]
    return [t.shape for t in others] + cache * caches


def _inputs(
    ids: tf.Tensor,
    read: tuple[tf.Tensor, tf.Tensor],
    recent: tuple[tf.Tensor, tf.Tensor],
    past: tf.Tensor,
    *,
    windowed: bool,
) -> dict[str, tf.Tensor]:
    """The small inputs of `step` that reads (first, number of) tokens into `recent` (its first token, its room)."""
    first, width = read
    start, room = recent
    positions = first + tf.range(width)
    slots = tf.range(room)
    visible = start + slots[tf.newaxis] <= positions[:, tf.newaxis]
    written = tf.logical_or(width > 1, tf.equal(start + slots, first))
    # the first slot of `past` is nobody's
    places = {RECENT: start + slots, PAST: tf.range(past) - 1} if windowed else {}
    return places | {
        "tokens": tf.slice(ids, [first], [width])[tf.newaxis],
        "input_pos": positions,
        "last": tf.reshape(width - 1, [1]),
        "recent_mask": tf.where(visible, 0.0, MASKED)[tf.newaxis, tf.newaxis],
        "past_mask": tf.where(tf.range(past) > 0, 0.0, MASKED)[tf.newaxis, tf.newaxis, tf.newaxis],
        "slots": tf.cast(written, tf.float32)[tf.newaxis, tf.newaxis, :, tf.newaxis],
    }
