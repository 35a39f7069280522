"""Calls of the core's signature `step` from a loop inside a graph: placeholders that the linker replaces.

Shapes: T tokens read, L rows of logits, P slots of `past`, R slots of `recent`, V vocabulary.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from autocomplete.graph import attention, positions
from autocomplete.model.config import DecoderConfig
from autocomplete.model.decoder import Tensors
from autocomplete.tflite import linker

STEP = "step"
PLACEHOLDER = "Core/"
LAST = "last"  # the input with the tokens whose logits are wanted


@dataclass(frozen=True)
class StepShape:
    """The sizes of a `step` of static shapes, which gives one row of logits.

    Attributes:
      tokens: T.
      recent: R.
      past: P.
    """

    tokens: int
    recent: int
    past: int


@dataclass(frozen=True)
class GrowingStepShape:
    """A `step` whose sizes follow its inputs.

    Attributes:
      logit_rows: L; None for as many as `last` asks for.
    """

    logit_rows: int | None


_UNKNOWN = GrowingStepShape(None)


def step_specs(config: DecoderConfig, shape: StepShape | GrowingStepShape) -> dict[str, tf.TensorSpec]:
    """The inputs of `step` without weights."""
    tokens, recent, past = (shape.tokens, shape.recent, shape.past) if isinstance(shape, StepShape) else (None,) * 3
    rows = 1 if isinstance(shape, StepShape) else shape.logit_rows
    specs = {
        "tokens": tf.TensorSpec([1, tokens], tf.int32),
        "input_pos": tf.TensorSpec([tokens], tf.int32),
        LAST: tf.TensorSpec([rows], tf.int32),
        "recent_mask": tf.TensorSpec([1, 1, tokens, recent]),
        "past_mask": tf.TensorSpec([1, 1, 1, past]),
        "slots": tf.TensorSpec([1, 1, recent, 1]),
    }
    if config.has_sliding_window:
        specs[positions.RECENT_POS] = tf.TensorSpec([recent], tf.int32)
        specs[positions.PAST_POS] = tf.TensorSpec([past], tf.int32)
    for prefix, slots in {"recent": recent, "past": past}.items():
        shapes = attention.cache_shapes(config, slots)
        specs |= zip(attention.cache_names(config.num_layers, prefix), map(tf.TensorSpec, shapes), strict=True)
    return specs


def call_step(
    config: DecoderConfig, inputs: Tensors, cache: Sequence[tf.Tensor], name: str = STEP
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """A placeholder for `step`.

    Args:
      config: the decoder's configuration.
      inputs: the inputs without the cache.
      cache: keys and values of `recent`, then of `past`.
      name: the signature.

    Returns:
      Logits `[1, L, V]`, and the updated keys and values of `recent`.
    """
    names = list(step_specs(config, _UNKNOWN))[: -len(cache)]
    recent, last = slice(len(names), len(names) + len(cache) // 2), names.index(LAST)

    def results(operands: Sequence[tf.Tensor], used: tf.Tensor) -> list[tf.Tensor]:
        updated = [o + used for o in operands[recent]]
        return [*updated, tf.fill([1, tf.size(operands[last]), config.vocab_size], used)]

    *updated, logits = placeholder(PLACEHOLDER + name, [*(inputs[n] for n in names), *cache], results)
    return logits, updated


def signature_calls(config: DecoderConfig, signatures: Iterable[str]) -> dict[str, linker.SignatureCall]:
    """What the linker puts in the place of each placeholder, by the name of its custom op."""
    inputs = list(step_specs(config, _UNKNOWN))
    outputs = [*attention.cache_names(config.num_layers, "recent"), "logits"]
    return {PLACEHOLDER + name: linker.SignatureCall(name, inputs, outputs) for name in signatures}


def placeholder(
    name: str, operands: Sequence[tf.Tensor], results: Callable[[Sequence[tf.Tensor], tf.Tensor], list[tf.Tensor]]
) -> list[tf.Tensor]:
    """A call that the converter turns into a custom op, which the linker replaces.

    Args:
      name: of the custom op.
      operands: its inputs.
      results: (operands, a number that depends on all of them) → tensors of the shapes of the outputs. An operand that
        no result depends on would be pruned before the converter sees the call.
    """
    implements = f'name: "{name}" attr {{key: "tfl_fusable_op" value {{b: true}}}}'

    @tf.function(experimental_implements=implements, autograph=False)
    def stand_in(*operands: tf.Tensor) -> list[tf.Tensor]:
        return results(operands, tf.add_n([tf.reduce_sum(tf.cast(o, tf.float32)) for o in operands]))

    return list(stand_in(*operands))
