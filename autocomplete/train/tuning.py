"""Tunes a model with early stopping on held-out text; resumes from a checkpoint, and keeps the best weights."""

import math
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.train import training
from autocomplete.train.settings import TuningSettings

STEPS, PATIENCE, MINUTES = "steps", "patience", "minutes"  # the reasons for which a run ends
# KerasHub's choice, query and value; and GPT-NeoX's single layer for query, key and value.
_LORA_LAYERS = ("query_dense", "value_dense", "query", "value", "query_key_value")


@dataclass(frozen=True)
class TuningData:
    """The text to train on, and held-out windows `[n, context + 1]`."""

    stream: training.TokenStream
    held_out: Array


@dataclass(frozen=True)
class Measurement:
    """One measurement of a run.

    Attributes:
      step: number of steps before it.
      loss: the mean loss of the steps since the last measurement, in nats per token.
      held_out_loss: the loss of the held-out windows, in nats per token.
      seconds: the duration of the run so far.
    """

    step: int
    loss: float
    held_out_loss: float
    seconds: float

    @property
    def perplexity(self) -> float:
        """The perplexity of the held-out windows."""
        return math.exp(self.held_out_loss)


@dataclass(frozen=True)
class TuningCallbacks:
    """Functions that a run calls.

    Attributes:
      on_step: called after each step, with the number of steps and the loss.
      on_measurement: called with each measurement, in a resumed run with the earlier ones too.
    """

    on_step: Callable[[int, float], None]
    on_measurement: Callable[[Measurement], None]


def enable_lora(backbone: keras.Model, rank: int, preset: str) -> None:
    """Freezes the backbone except for LoRA matrices in its attention; raises UserError if it has no such layer."""
    backbone.enable_lora(rank, target_layer_names=list(_LORA_LAYERS))
    if not any("lora" in v.path for v in backbone.trainable_variables):
        raise UserError(
            f"preset {preset!r} is a {type(backbone).__name__}, which has no layer for LoRA; allowed: "
            "author.tuning.method=full"
        )


def tune(
    backbone: keras.Model, data: TuningData, settings: TuningSettings, checkpoint: Path, callbacks: TuningCallbacks
) -> list[Measurement]:
    """Tunes the backbone in place, and leaves it with the weights of the lowest held-out loss.

    It continues from `checkpoint` if that exists.

    Returns:
      All measurements; the first precedes any step.
    """
    optimizer = training.new_adamw(backbone, settings.training)
    weights = backbone.trainable_variables
    best = [tf.Variable(w.value) for w in weights]
    state = [*weights, *_random_states(backbone), *optimizer.variables, *best]
    saved = training.restore_checkpoint(checkpoint, state)
    measurements = [Measurement(int(row[0]), *row[1:].tolist()) for row in saved.get("points", [])]
    held_out_loss = _held_out_loss(backbone, data.held_out, settings.training.batch)
    measurements = measurements or [Measurement(0, math.nan, held_out_loss(), 0.0)]
    for measurement in measurements:
        callbacks.on_measurement(measurement)
    train_step = training.compiled_step(backbone, optimizer)
    began = time.monotonic() - measurements[-1].seconds
    while stop_reason(measurements, settings) is None:
        losses: list[float] = []
        step = measurements[-1].step
        while not losses or not _is_due(step, time.monotonic() - began, settings):
            losses.append(float(train_step(tf.constant(data.stream.batch(step, settings.training)))))
            step += 1
            callbacks.on_step(step, losses[-1])
        measurements.append(Measurement(step, float(np.mean(losses)), held_out_loss(), time.monotonic() - began))
        if best_measurement(measurements) is measurements[-1]:
            _copy(weights, best)
        training.save_checkpoint(checkpoint, state, points=np.array([astuple(m) for m in measurements]))
        callbacks.on_measurement(measurements[-1])
    _copy(best, weights)
    return measurements


def stop_reason(measurements: list[Measurement], settings: TuningSettings) -> str | None:
    """Why a run with these measurements ends; None if it continues."""
    if measurements[-1].step >= settings.training.steps:
        return STEPS
    if len(measurements) - 1 - measurements.index(best_measurement(measurements)) >= settings.patience:
        return PATIENCE
    return MINUTES if _is_overtime(measurements[-1].seconds, settings) else None


def best_measurement(measurements: list[Measurement]) -> Measurement:
    """The first measurement with the lowest held-out loss."""
    return min(measurements, key=lambda m: m.held_out_loss)


def _is_due(step: int, seconds: float, settings: TuningSettings) -> bool:
    """Whether a measurement follows a step."""
    schedule = settings.training
    return step % schedule.checkpoint_every == 0 or step >= schedule.steps or _is_overtime(seconds, settings)


def _is_overtime(seconds: float, settings: TuningSettings) -> bool:
    return settings.minutes is not None and seconds >= 60 * settings.minutes


def _held_out_loss(backbone: keras.Model, windows: Array, batch: int) -> Callable[[], float]:
    """A function that measures the mean loss of windows, in nats per token."""

    @tf.function(jit_compile=True)
    def total(tokens: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(training.token_losses(backbone, tokens, training=False))

    parts = [tf.constant(windows[i : i + batch]) for i in range(0, len(windows), batch)]
    return lambda: sum(float(total(part)) for part in parts) / windows[:, 1:].size


def _random_states(backbone: keras.Model) -> list[Any]:
    """The states of dropout's random numbers; a resumed run needs them to draw what an uninterrupted one draws."""
    weights = {id(w) for w in backbone.weights}
    return [v for v in backbone.variables if id(v) not in weights]


def _copy(source: list[Any], target: list[Any]) -> None:
    for old, new in zip(target, source, strict=True):
        old.assign(new.value if isinstance(new, keras.Variable) else new)
