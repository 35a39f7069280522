"""The loop around the core, inside the graph: the prompt in chunks, then token by token until the end token.

The KV cache has two parts (model/attention.py): `past` grows when `recent` is full. An inner loop fills `recent`
and hands `past` through untouched, which costs nothing; the outer loop joins the two once in a while. Both loops and
both phases share one copy of the core, whose shapes follow the number of tokens: a runtime packs its weights once.

Where the text repeats itself (prompt_lookup.py) a round reads several guessed tokens in one pass, which costs
little more than one token, as every weight is read once: those that the model would have said itself are kept. The
answer is the same.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from autocomplete.graph import attention, core_calls, prompt_lookup, sampler
from autocomplete.graph.attention import MASKED
from autocomplete.graph.core_calls import Growing
from autocomplete.graph.positions import PAST, RECENT
from autocomplete.model.decoder import Shape

# (logits [rows, vocab], how many tokens stand before the first row's) → the ids that the rows say, int32 [rows]
Choose = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Lengths:
    """In tokens: the longest answer, prompt included; what one pass over the prompt reads; room in `recent`.

    `guessed` is how many are read at once where the text repeats itself, the last known one included; 1: no guesses.
    """

    sequence: int
    chunk: int
    recent: int = 16
    guessed: int = 1


def rooms(lengths: Lengths) -> dict[str, Growing]:
    """The core's signature that this loop calls, by name."""
    return {core_calls.STEP: Growing(1 if lengths.guessed == 1 else None)}


@dataclass(frozen=True)
class Plan:
    """What a loop goes by: the decoder's dimensions, the ids that end a text, sizes, the sampler, the longest answer.

    The first of `ends` also fills up what is behind an answer.
    `maximum` is int32 `[]`: how many tokens there may be in the end, the prompt's included; at most `sequence`.
    `guessing`, bool `[]`, says whether a call may guess: where tokens are drawn guesses seldom hold.
    """

    shape: Shape
    ends: tuple[int, ...]
    lengths: Lengths
    choose: Choose
    maximum: tf.Tensor
    guessing: tf.Tensor | None = None

    @property
    def end(self) -> int:
        """The id that fills up an answer."""
        return self.ends[0]

    @property
    def guesses(self) -> bool:
        """Whether the graph has guesses at all: where it has not, nothing is added for them."""
        return self.guessing is not None and self.lengths.guessed > 1


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
    state = [count, tf.constant(0), ids, *attention.empty(shape, 1)]
    known, _, ids, *_ = tf.while_loop(
        lambda known, done, *_: _more(plan, known, done),
        lambda *state: _fill_recent(plan, *state),
        state,
        shape_invariants=_invariants(state[:3], 1, shape),
    )
    # Results of a loop of growing shapes lie in memory of its own, into which CompiledModel cannot write an output:
    # each passes one more operator.
    known = tf.maximum(known, count)
    return tf.where(tf.range(sequence) < known, ids, plan.end), known


def _more(plan: Plan, known: tf.Tensor, done: tf.Tensor) -> tf.Tensor:
    """Whether anything is left to do with `known` tokens, of which `done` were read."""
    return tf.logical_and(done < known, known < plan.maximum)


def _fill_recent(plan: Plan, known: tf.Tensor, done: tf.Tensor, ids: tf.Tensor, *past: tf.Tensor) -> list[tf.Tensor]:
    """A round of the outer loop: reads part of the prompt, or guesses, or says as many tokens as `recent` has room for.

    Only guesses can be wrong: what was read beyond the ones that held is cut off `recent` before it joins `past`.
    """
    shape, start = plan.shape, done
    ids, rows = _guessed(plan, known, done, ids)
    width = tf.minimum(known - done, plan.lengths.chunk)
    width = width if rows is None else tf.maximum(width, rows)
    room = tf.where(width > 1, width, _room(plan, done))

    def within(known: tf.Tensor, done: tf.Tensor, *_: Any) -> tf.Tensor:
        return tf.logical_and(_more(plan, known, done), done + width <= start + room)

    def step(known: tf.Tensor, done: tf.Tensor, ids: tf.Tensor, *cache: tf.Tensor) -> list[tf.Tensor]:
        inputs = _inputs(ids, (done, width), (start, room), tf.shape(cache[-1])[2], windowed=shape.windowed)
        inputs["last"] = tf.reshape(width - 1, [1]) if rows is None else tf.range(width - rows, width)
        logits, recent = core_calls.call_step(shape, inputs, cache)
        return [*_said(plan, logits, known, done + width, ids), *recent, *cache[len(recent) :]]

    state = [known, done, ids, *attention.empty(shape, room), *past]
    known, done, ids, *cache = tf.while_loop(within, step, state, shape_invariants=_invariants(state[:3], 2, shape))
    # The loop's own `past`, not what it hands back: results that nobody reads are not copied in each round.
    kept = None if rows is None else tf.minimum(done - start, room)
    return [known, done, ids, *_joined(past, cache[: len(past)], kept)]


def _guessed(plan: Plan, known: tf.Tensor, done: tf.Tensor, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
    """`ids` with guesses behind the known ones, and how many rows of logits a round needs; None: always one."""
    if not plan.guesses:
        return ids, None
    ids, found = prompt_lookup.guess(ids, known, plan.lengths.guessed - 1)
    fits = known + plan.lengths.guessed <= plan.maximum
    wanted = functools.reduce(tf.logical_and, [plan.guessing, tf.equal(done, known - 1), fits, found])
    return ids, tf.where(wanted, plan.lengths.guessed, 1)


def _room(plan: Plan, done: tf.Tensor) -> tf.Tensor | int:
    """Room in `recent` for tokens that are said one by one.

    Guesses are sought once in a round: rounds are short as long as joining `past`, which is copied, costs little.
    """
    most = plan.lengths.recent
    return tf.where(plan.guessing, tf.clip_by_value(done // most, min(4, most), most), most) if plan.guesses else most


def _said(plan: Plan, logits: tf.Tensor, known: tf.Tensor, done: tf.Tensor, ids: tf.Tensor) -> list[tf.Tensor]:
    """`known`, `done` and `ids` after a step that read all tokens before `done` and gave `logits` `[1, rows, vocab]`.

    If these are all that are known, something is said: a token, or as many as guesses held, and one more.
    """
    whole = done >= known
    logits = tf.reshape(logits, [-1 if plan.guesses else 1, plan.shape.vocabulary])
    if not plan.guesses:
        token = plan.choose(logits, known)
        ids = tf.where(tf.equal(tf.range(plan.lengths.sequence), known), token, ids)
        known = known + tf.cast(whole, tf.int32)
    else:
        ids, after = prompt_lookup.held(plan.choose(logits, known), ids, known, plan.ends)
        token = tf.gather(ids, after - 1)
        done = tf.minimum(done, after - 1)  # guesses that failed are not read
        known = tf.where(whole, after, known)
    # an end token is counted and never read: nothing is left to do then
    ended = tf.logical_and(whole, sampler.any_of(tf.reshape(token, []), plan.ends))
    return [known, tf.where(ended, known, done), ids]


def _joined(past: Sequence[tf.Tensor], recent: Sequence[tf.Tensor], kept: tf.Tensor | None) -> list[tf.Tensor]:
    """Past keys and values, and behind them the first `kept` of the recent ones, or all."""
    axes = attention.SLOT_AXES * (len(past) // 2)
    if kept is not None:
        sizes = {axis: tf.where(tf.equal(tf.range(4), axis), kept, -1) for axis in set(axes)}
        recent = [tf.slice(new, [0] * 4, sizes[axis]) for new, axis in zip(recent, axes, strict=True)]
    return [tf.concat(pair, axis) for *pair, axis in zip(past, recent, axes, strict=True)]


def _invariants(others: Sequence[tf.Tensor], caches: int, shape: Shape) -> list[tf.TensorShape]:
    """Shapes of a loop's state: some tensors that keep theirs, then so many caches, which grow."""
    cache = [tf.TensorShape(size) for size in attention.sizes(shape, None)]
    return [t.shape for t in others] + cache * caches


def _inputs(
    ids: tf.Tensor,
    read: tuple[tf.Tensor, tf.Tensor],
    recent: tuple[tf.Tensor, tf.Tensor],
    past: tf.Tensor,
    *,
    windowed: bool,
) -> dict[str, tf.Tensor]:
    """The small inputs of `step`, less `last`: it reads (first, number of) tokens into `recent` (first token, room)."""
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
        "recent_mask": tf.where(visible, 0.0, MASKED)[tf.newaxis, tf.newaxis],
        "past_mask": tf.where(tf.range(past) > 0, 0.0, MASKED)[tf.newaxis, tf.newaxis, tf.newaxis],
        "slots": tf.cast(written, tf.float32)[tf.newaxis, tf.newaxis, :, tf.newaxis],
    }
