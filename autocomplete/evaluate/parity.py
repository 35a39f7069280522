"""Parity: how far the logits of the float32 core are from those of Keras."""

import keras_hub
import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.metrics import MetricValues
from autocomplete.evaluate import keras_reference
from autocomplete.evaluate.mode_files import ModelFiles
from autocomplete.runtime import logits


def measure(files: ModelFiles, keras: keras_hub.models.CausalLM, windows: Array) -> MetricValues:
    """The largest and the mean difference of logits over windows of ids `[n, slots]`.

    `parity_relative` is the largest difference divided by the largest logit: float32 rounds in proportion to the
    number, so that logits of 36 differ more than logits of 5.
    """
    session = files.session(files.converted / "core.tflite")
    expected = [keras_reference.logits(keras, w[None, :-1])[0] for w in windows]
    differences = [
        difference(logits.decoded(session, w[:-1]), reference) for w, reference in zip(windows, expected, strict=True)
    ]
    largest = max(maximum for maximum, _ in differences)
    return {
        "parity_max": largest,
        "parity_mean": float(np.mean([mean for _, mean in differences])),
        "parity_relative": largest / max(float(np.abs(reference).max()) for reference in expected),
    }


def difference(logits: Array, reference: Array) -> tuple[float, float]:
    """The largest and the mean absolute difference of logits."""
    absolute = np.abs(logits.astype(np.float64) - reference)
    return float(absolute.max()), float(absolute.mean())
