"""The core's signatures: `prefill_<n>` and `decode` in LiteRT-LM's contract, and `step` for the loop in the graph."""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from stages.lm import attention, decoder
from stages.lm.attention import Cache, Place
from stages.lm.decoder import Shape, Tensors, Weights
from stages.tflite import linker, skeleton
from stages.tflite.flatbuffer import Deferred

DECODE = "decode"
STEP = "step"
PLACEHOLDER = "Core/"


@dataclass(frozen=True)
class Room:
    """How many tokens `step` reads, and how many slots `recent` and `past` have."""

    tokens: int
    recent: int
    past: int


def prefill_name(length: int) -> str:
    """The signature that reads `length` tokens at once."""
    return f"prefill_{length}"


def build(
    weights: Weights, slots: int, prefill_lengths: Sequence[int], steps: Mapping[str, Room | None]
) -> schema.ModelT:
    """A float32 model of all signatures, with a KV cache of `slots` tokens; its weights are read as it is written.

    `steps` names the forms of `step` that the drivers call; None is the one whose sizes follow its inputs.
    """
    shape = weights.shape
    traced = {prefill_name(n): _trace(weights, fixed_specs(shape, n, slots), _prefill) for n in prefill_lengths}
    traced[DECODE] = _trace(weights, fixed_specs(shape, 1, slots), _decode)
    traced |= {name: _trace(weights, step_specs(shape, room), _step) for name, room in steps.items()}
    contents = {
        _plain(name): Deferred(4 * math.prod(size), functools.partial(weights.read, name))
        for name, size in weights.sizes.items()
    }
    return skeleton.inject(skeleton.convert(traced), contents)


def fixed_specs(shape: Shape, tokens: int, slots: int) -> dict[str, tf.TensorSpec]:
    """Inputs of `prefill_<tokens>` or `decode`, weights left out."""
    cache = tf.TensorSpec([1, shape.heads, slots, shape.head_dim])
    return {
        "tokens": tf.TensorSpec([1, tokens], tf.int32),
        "input_pos": tf.TensorSpec([tokens], tf.int32),
        "mask": tf.TensorSpec([1, 1, tokens, slots]),
    } | dict.fromkeys(attention.names(shape.layers), cache)


def step_specs(shape: Shape, room: Room | None) -> dict[str, tf.TensorSpec]:
    """Inputs of `step`, weights left out."""
    tokens, recent, past = (None, None, None) if room is None else (room.tokens, room.recent, room.past)
    small = {
        "tokens": tf.TensorSpec([1, tokens], tf.int32),
        "input_pos": tf.TensorSpec([tokens], tf.int32),
        "last": tf.TensorSpec([1], tf.int32),
        "recent_mask": tf.TensorSpec([1, 1, tokens, recent]),
        "past_mask": tf.TensorSpec([1, 1, 1, past]),
        "slots": tf.TensorSpec([1, 1, recent, 1]),
    }
    caches = {"recent": recent, "past": past}
    return small | {
        name: tf.TensorSpec([1, shape.heads, slots, shape.head_dim])
        for prefix, slots in caches.items()
        for name in attention.names(shape.layers, prefix)
    }


def _prefill(shape: Shape, weights: Tensors, inputs: Tensors) -> Tensors:
    attend, updated = attention.fixed(dict(inputs), inputs["input_pos"], inputs["mask"])
    decoder.forward(shape, weights, inputs["tokens"], inputs["input_pos"], attend)
    return updated


def _decode(shape: Shape, weights: Tensors, inputs: Tensors) -> Tensors:
    attend, updated = attention.fixed(dict(inputs), inputs["input_pos"], inputs["mask"])
    hidden = decoder.forward(shape, weights, inputs["tokens"], inputs["input_pos"], attend)
    return updated | {"logits": decoder.logits(weights, hidden)}


def _step(shape: Shape, weights: Tensors, inputs: Tensors) -> Tensors:
    """`logits` are those of the token number `last` alone: of a prompt only the last one's are of use."""
    place = Place(inputs["recent_mask"], inputs["past_mask"], inputs["slots"])
    attend, updated = attention.growing(dict(inputs), dict(inputs), place)
    hidden = decoder.forward(shape, weights, inputs["tokens"], inputs["input_pos"], attend)
    return updated | {"logits": decoder.logits(weights, tf.gather(hidden, inputs["last"]))}


def _trace(weights: Weights, specs: dict[str, tf.TensorSpec], body: Any) -> Any:
    """A concrete function of a signature's inputs and, behind them, the weights."""
    specs = specs | {_plain(n): tf.TensorSpec(size) for n, size in weights.sizes.items()}

    @tf.function(autograph=False)
    def run(**inputs: tf.Tensor) -> Tensors:
        given = {n: inputs.pop(_plain(n)) for n in weights.sizes}
        return dict(body(weights.shape, given, inputs))

    return run.get_concrete_function(**{n: tf.TensorSpec(s.shape, s.dtype, name=n) for n, s in specs.items()})


def _plain(name: str) -> str:
    return "weight_" + name.replace("/", "_")


def call_step(shape: Shape, inputs: Tensors, name: str = STEP) -> tuple[tf.Tensor, Cache]:
    """A stand-in for `step`: logits `[1, 1, vocab]` and recent slots; converted, it is a custom op for the linker."""
    implements = f'name: "{PLACEHOLDER}{name}" attr {{key: "tfl_fusable_op" value {{b: true}}}}'
    recent = attention.names(shape.layers, "recent")
    order = list(step_specs(shape, None))

    @tf.function(experimental_implements=implements, autograph=False)
    def stand_in(*operands: tf.Tensor) -> list[tf.Tensor]:
        given = dict(zip(order, operands, strict=True))
        # Every input must be used, or it is pruned before the converter sees the call.
        used = tf.add_n([tf.reduce_sum(tf.cast(o, tf.float32)) for n, o in given.items() if n not in recent])
        return [*(given[n] + used for n in recent), tf.fill([1, 1, shape.vocabulary], used)]

    *updated, logits = stand_in(*(inputs[n] for n in order))
    return logits, dict(zip(recent, updated, strict=True))


def calls(shape: Shape, names: Iterable[str]) -> dict[str, linker.Call]:
    """What the placeholders stand for, for the linker: custom op name → signature and operands in order."""
    inputs, outputs = list(step_specs(shape, None)), [*attention.names(shape.layers, "recent"), "logits"]
    return {PLACEHOLDER + name: linker.Call(name, inputs, outputs) for name in names}
