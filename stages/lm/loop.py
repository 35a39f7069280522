"""The loop around the core, inside the graph: the prompt in chunks, then token by token until the end token.

The KV cache has two parts (stages/lm/attention.py): `past` grows when `recent` is full. An inner loop fills `recent`
and hands `past` through untouched, which costs nothing; the outer loop joins the two once in a while. Both loops and
both phases share one copy of the core, whose shapes follow the number of tokens: a runtime packs its weights once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from stages.lm import attention, core
from stages.lm.attention import MASKED
from stages.lm.decoder import Shape

# (logits [vocab], how many tokens there are) → the id of the next one, int32 []
Choose = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Lengths:
    """In tokens: the longest answer, prompt included; what one pass over the prompt reads; room in `recent`."""

    sequence: int
    chunk: int
    recent: int = 16


def generate(
    tokens: tf.Tensor, count: tf.Tensor, maximum: tf.Tensor, choose: Choose, model: tuple[Shape, int], lengths: Lengths
) -> tuple[tf.Tensor, tf.Tensor]:
    """Continues a prompt.

    Args:
      tokens: int32 `[n]`, the prompt's ids, then anything.
      count: int32 `[]`, the prompt's length, from 1 to n.
      maximum: int32 `[]`, how many tokens there may be in the end, the prompt's included; at most `sequence`.
      choose: the sampler.
      model: the decoder's dimensions, and the id that ends a text.
      lengths: sizes.

    Returns:
      int32 `[sequence]`, the prompt and the new ids, filled up with the end's id; int32 `[]`, how many they are.
    """
    shape, end = model
    padded = tf.concat([tokens, tf.fill([lengths.sequence], end)], 0)[: lengths.sequence]
    ids = tf.where(tf.range(lengths.sequence) < count, padded, end)
    names = attention.names(shape.layers, "recent"), attention.names(shape.layers, "past")

    def more(known: tf.Tensor, done: tf.Tensor, *_: Any) -> tf.Tensor:
        return tf.logical_and(done < known, known < maximum)

    def outer(known: tf.Tensor, done: tf.Tensor, ids: tf.Tensor, *past: tf.Tensor) -> list[Any]:
        width = tf.minimum(known - done, lengths.chunk)
        room = tf.where(width > 1, width, lengths.recent)
        start = done

        def within(known: tf.Tensor, done: tf.Tensor, *_: Any) -> tf.Tensor:
            return tf.logical_and(more(known, done), done + width <= start + room)

        def inner(known: tf.Tensor, done: tf.Tensor, ids: tf.Tensor, *cache: tf.Tensor) -> list[Any]:
            inputs = _inputs(ids, (done, width), (start, room), tf.shape(cache[-1])[2])
            logits, recent = core.call_step(shape, inputs | dict(zip([*names[0], *names[1]], cache, strict=True)))
            done = done + width
            token = choose(tf.reshape(logits, [shape.vocabulary]), known)
            fresh = tf.logical_and(tf.equal(tf.range(lengths.sequence), known), tf.equal(done, known))
            ids = tf.where(fresh, token, ids)
            # an end token is counted and never read: nothing is left to do then
            ended = tf.logical_and(tf.equal(done, known), tf.equal(token, end))
            known = known + tf.cast(tf.equal(done, known), tf.int32)
            return [known, tf.where(ended, known, done), ids, *recent.values(), *cache[len(recent) :]]

        recent = [tf.zeros([1, shape.heads, room, shape.head_dim])] * len(past)
        state = [known, done, ids, *recent, *past]
        known, done, ids, *cache = tf.while_loop(within, inner, state, shape_invariants=_invariants(state, 3, shape))
        # The loop's own `past`, not what it hands back: results that nobody reads are not copied in each round.
        joined = [tf.concat([p, r], 2) for p, r in zip(past, cache, strict=False)]
        return [known, done, ids, *joined]

    # No slot at all would be a tensor without elements, which XNNPACK refuses: the first one is masked for good.
    past = [tf.zeros([1, shape.heads, 1, shape.head_dim])] * len(names[1])
    state = [count, tf.constant(0), ids, *past]
    known, _, ids, *_ = tf.while_loop(more, outer, state, shape_invariants=_invariants(state, 3, shape))
    # Results of a loop of growing shapes lie in memory of its own, into which CompiledModel cannot write an output:
    # each passes one more operator.
    known = tf.maximum(known, count)
    return tf.where(tf.range(lengths.sequence) < known, ids, end), known


def _invariants(state: list[tf.Tensor], scalars: int, shape: Shape) -> list[tf.TensorShape]:
    """Shapes of a loop's state, whose cache tensors grow."""
    cache = tf.TensorShape([1, shape.heads, None, shape.head_dim])
    return [t.shape for t in state[:scalars]] + [cache] * (len(state) - scalars)


def _inputs(
    ids: tf.Tensor, read: tuple[tf.Tensor, tf.Tensor], recent: tuple[tf.Tensor, tf.Tensor], past: tf.Tensor
) -> dict[str, tf.Tensor]:
    """The small inputs of `step` that reads (first, number of) tokens into `recent` (its first token, its room)."""
    first, width = read
    start, room = recent
    positions = first + tf.range(width)
    slots = tf.range(room)
    visible = start + slots[tf.newaxis] <= positions[:, tf.newaxis]
    written = tf.logical_or(width > 1, tf.equal(start + slots, first))
    return {
        "tokens": tf.slice(ids, [first], [width])[tf.newaxis],
        "input_pos": positions,
        "last": tf.reshape(width - 1, [1]),
        "recent_mask": tf.where(visible, 0.0, MASKED)[tf.newaxis, tf.newaxis],
        "past_mask": tf.where(tf.range(past) > 0, 0.0, MASKED)[tf.newaxis, tf.newaxis, tf.newaxis],
        "slots": tf.cast(written, tf.float32)[tf.newaxis, tf.newaxis, :, tf.newaxis],
    }
