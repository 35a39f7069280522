"""Tuning a model on: early stopping on a held-out part, continued from a checkpoint, the best weights kept."""

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

STEPS, PATIENCE, MINUTES = "steps", "patience", "minutes"  # what may end a run
# KerasHub's choice, queries and values, and GPT-NeoX's one layer for queries, keys and values.
_LORA_LAYERS = ("query_dense", "value_dense", "query", "value", "query_key_value")


@dataclass(frozen=True)
class Texts:
    """What is trained on, and windows `[n, context + 1]` of what is held out."""

    stream: training.Stream
    held_out: Array


@dataclass(frozen=True)
class Point:
    """One measurement, in nats per token: the mean loss of the steps since the one before, and the held-out loss."""

    step: int
    loss: float
    held_out_loss: float
    seconds: float

    @property
    def perplexity(self) -> float:
        """Of the held-out windows."""
        return math.exp(self.held_out_loss)


@dataclass(frozen=True)
class Watch:
    """Who is told of a run: of each step and its loss, and of each measurement, earlier ones of a resumed run too."""

    step: Callable[[int, float], None]
    point: Callable[[Point], None]


def enable_lora(backbone: keras.Model, rank: int, preset: str) -> None:
    """Freezes the backbone but for KerasHub's LoRA on its attention; raises UserError where it has no such layer."""
    backbone.enable_lora(rank, target_layer_names=list(_LORA_LAYERS))
    if not any("lora" in v.path for v in backbone.trainable_variables):
        raise UserError(
            f"preset {preset!r} is a {type(backbone).__name__}, which has no layer for LoRA; allowed: "
            "author.tuning.method=full"
        )


def tune(backbone: keras.Model, texts: Texts, settings: TuningSettings, checkpoint: Path, watch: Watch) -> list[Point]:
    """Tunes the backbone in place, to the weights of the lowest held-out loss; continues from `checkpoint`.

    Returns every measurement, the first before any step.
    """
    optimizer = training.new_optimizer(backbone, settings.training)
    weights = backbone.trainable_variables
    best = [tf.Variable(w.value) for w in weights]
    state = [*weights, *_seeds(backbone), *optimizer.variables, *best]
    points = [Point(int(row[0]), *row[1:].tolist()) for row in training.restore(checkpoint, state).get("points", [])]
    measure = _measure(backbone, texts.held_out, settings.training.batch)
    points = points or [Point(0, math.nan, measure(), 0.0)]
    for point in points:
        watch.point(point)
    step = training.compiled_step(backbone, optimizer)
    began = time.monotonic() - points[-1].seconds
    while ended_by(points, settings) is None:
        losses: list[float] = []
        done = points[-1].step
        while not losses or not _is_due(done, time.monotonic() - began, settings):
            losses.append(float(step(tf.constant(texts.stream.batch(done, settings.training)))))
            done += 1
            watch.step(done, losses[-1])
        points.append(Point(done, float(np.mean(losses)), measure(), time.monotonic() - began))
        if best_of(points) is points[-1]:
            _copy(weights, best)
        training.save(checkpoint, state, points=np.array([astuple(p) for p in points]))
        watch.point(points[-1])
    _copy(best, weights)
    return points


def ended_by(points: list[Point], settings: TuningSettings) -> str | None:
    """What ends a run with these measurements; None where it goes on."""
    if points[-1].step >= settings.training.steps:
        return STEPS
    if len(points) - 1 - points.index(best_of(points)) >= settings.patience:
        return PATIENCE
    return MINUTES if _is_late(points[-1].seconds, settings) else None


def best_of(points: list[Point]) -> Point:
    """The first measurement of the lowest held-out loss."""
    return min(points, key=lambda p: p.held_out_loss)


def _is_due(step: int, seconds: float, settings: TuningSettings) -> bool:
    """Whether a measurement follows a step."""
    chosen = settings.training
    return step % chosen.checkpoint_every == 0 or step >= chosen.steps or _is_late(seconds, settings)


def _is_late(seconds: float, settings: TuningSettings) -> bool:
    return settings.minutes is not None and seconds >= 60 * settings.minutes


def _measure(backbone: keras.Model, windows: Array, batch: int) -> Callable[[], float]:
    """What measures the mean loss of windows, in nats per token."""

    @tf.function(jit_compile=True)
    def total(tokens: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(training.token_losses(backbone, tokens, training=False))

    parts = [tf.constant(windows[i : i + batch]) for i in range(0, len(windows), batch)]
    return lambda: sum(float(total(part)) for part in parts) / windows[:, 1:].size


def _seeds(backbone: keras.Model) -> list[Any]:
    """The states of dropout's random numbers, which are no weights: a resumed run draws what an unbroken one draws."""
    weights = {id(w) for w in backbone.weights}
    return [v for v in backbone.variables if id(v) not in weights]


def _copy(source: list[Any], target: list[Any]) -> None:
    for old, new in zip(target, source, strict=True):
        old.assign(new.value if isinstance(new, keras.Variable) else new)
