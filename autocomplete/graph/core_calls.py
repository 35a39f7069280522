"""The core as loops inside a graph call it: `step`, by a stand-in that the linker replaces."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from autocomplete.graph import attention, positions
from autocomplete.model.decoder import Shape, Tensors
from autocomplete.tflite import linker

STEP = "step"
PLACEHOLDER = "Core/"
LAST = "last"


@dataclass(frozen=True)
class Room:
    """How many tokens `step` reads, and how many slots `recent` and `past` have; it gives one row of logits."""

    tokens: int
    recent: int
    past: int


@dataclass(frozen=True)
class Growing:
    """A `step` whose sizes follow its inputs; `rows` of logits, or with None as many as it is asked for."""

    rows: int | None


_ANY = Growing(None)


def specs(shape: Shape, room: Room | Growing) -> dict[str, tf.TensorSpec]:
    """Inputs of `step`, weights left out."""
    tokens, recent, past, rows = (
        (room.tokens, room.recent, room.past, 1) if isinstance(room, Room) else (None, None, None, room.rows)
    )
    given = {
        "tokens": tf.TensorSpec([1, tokens], tf.int32),
        "input_pos": tf.TensorSpec([tokens], tf.int32),
        LAST: tf.TensorSpec([rows], tf.int32),
        "recent_mask": tf.TensorSpec([1, 1, tokens, recent]),
        "past_mask": tf.TensorSpec([1, 1, 1, past]),
        "slots": tf.TensorSpec([1, 1, recent, 1]),
    }
    if shape.windowed:
        given |= {positions.RECENT: tf.TensorSpec([recent], tf.int32), positions.PAST: tf.TensorSpec([past], tf.int32)}
    for prefix, slots in {"recent": recent, "past": past}.items():
        sizes = attention.sizes(shape, slots)
        given |= zip(attention.names(shape.layers, prefix), map(tf.TensorSpec, sizes), strict=True)
    return given


def call_step(
    shape: Shape, small: Tensors, cache: Sequence[tf.Tensor], name: str = STEP
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """A stand-in for `step`: logits `[1, last, vocab]` and recent slots; `cache` is recent slots, then past ones."""
    order = list(specs(shape, _ANY))[: -len(cache)]
    recent, last = slice(len(order), len(order) + len(cache) // 2), order.index(LAST)

    def results(operands: Sequence[tf.Tensor], used: tf.Tensor) -> list[tf.Tensor]:
        return [*(o + used for o in operands[recent]), tf.fill([1, tf.size(operands[last]), shape.vocabulary], used)]

    *updated, logits = call(PLACEHOLDER + name, [*(small[n] for n in order), *cache], results)
    return logits, updated


def calls(shape: Shape, names: Iterable[str]) -> dict[str, linker.Call]:
    """What the placeholders stand for, for the linker: custom op name → signature and operands in order."""
    inputs, outputs = list(specs(shape, _ANY)), [*attention.names(shape.layers, "recent"), "logits"]
    return {PLACEHOLDER + name: linker.Call(name, inputs, outputs) for name in names}


def call(
    name: str, operands: Sequence[tf.Tensor], results: Callable[[Sequence[tf.Tensor], tf.Tensor], list[tf.Tensor]]
) -> list[tf.Tensor]:
    """A call that the converter makes a custom op of that name, for the linker to replace.

    `results` makes tensors of the right shapes of the operands and a number that depends on all of them: an input that
    is not used is pruned before the converter sees the call.
    """
    implements = f'name: "{name}" attr {{key: "tfl_fusable_op" value {{b: true}}}}'

    @tf.function(experimental_implements=implements, autograph=False)
    def stand_in(*operands: tf.Tensor) -> list[tf.Tensor]:
        return results(operands, tf.add_n([tf.reduce_sum(tf.cast(o, tf.float32)) for o in operands]))

    return list(stand_in(*operands))
