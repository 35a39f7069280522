"""What quantization costs in each matrix product of a core: noise in its result, and divergence of the predictions."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from litert_quantizer import model_validator
from litert_quantizer.utils import validation_utils

from autocomplete.common.arrays import Array
from autocomplete.common.artifacts import Recipe
from autocomplete.common.files import csv_text
from autocomplete.quantize import recipes, sensitivity
from autocomplete.runtime import interpreters, sessions
from autocomplete.tflite import flatbuffer, matmul_names

_SNR = validation_utils.ValidationErrorMetric.SNR
_SAMPLE_EVERY = 16  # tokens of a window: the activations at one of them are compared


@dataclass(frozen=True)
class QuantizationLoss:
    """What quantization costs in one matrix product.

    Attributes:
      product: its role in the graph, such as `layer_0_qkv`.
      snr_db: the signal-to-noise ratio of its result in the quantized core, with the noise of earlier products, in dB;
        the mean over tokens.
      kl_divergence: that of the predictions from float32's where this product alone is quantized, in nats.
    """

    product: str
    snr_db: float
    kl_divergence: float


def divergences(trial: sensitivity.Trial, recipe: Recipe) -> dict[str, float]:
    """For each product that a recipe quantizes, the KL divergence if it alone is quantized, in the graph's order.

    Args:
      trial: the float32 core, and what it reads.
      recipe: the recipe that the shipped core was quantized by.
    """
    roles = matmul_names.roles(flatbuffer.read(trial.core), "decode")
    measured = sensitivity.measure_recipes(trial, {r: matmul_names.restrict_recipe(recipe, [r]) for r in roles})
    # no divergence at all: the recipe leaves the product as it is
    return {role: divergence for role, (divergence, _) in measured.items() if divergence != 0}


def losses(divergence_of: Mapping[str, float], noise_of: Mapping[str, float]) -> list[QuantizationLoss]:
    """The losses of products from what `divergences` and `noise` give."""
    return [QuantizationLoss(role, noise_of[f"decode/{role}"], value) for role, value in divergence_of.items()]


def noise(float32: Path, shipped: Path, windows: Array) -> dict[str, float]:
    """The signal-to-noise ratio in dB of each tensor of decode, while both cores read windows of ids `[n, slots]`."""
    session = sessions.InterpreterSession(interpreters.litert(float32, 1))
    return signal_to_noise_db(float32, shipped, samples(session, windows))


def samples(session: sessions.InterpreterSession, windows: Array) -> Iterator[dict[str, Array]]:
    """The inputs of decode at some tokens of each window, with the float32 core's KV cache at that token."""
    for window in windows:
        session.reset()
        for place, token in enumerate(window):
            if place % _SAMPLE_EVERY == _SAMPLE_EVERY - 1:
                yield session.inputs(np.array([token]))
            session.decode(int(token))


def signal_to_noise_db(reference: Path, target: Path, inputs: Iterable[dict[str, Array]]) -> dict[str, float]:
    """For each tensor of decode that both models name, the mean over the inputs of its signal-to-noise ratio in dB."""
    with recipes.quiet():
        compared = model_validator.compare_model(
            str(reference), str(target), {"decode": inputs}, [_SNR], [_decibel], num_threads=1
        )
    decode = compared.get_signature_comparison_result("decode")
    return {n: v[_SNR.value] for n, v in {**decode.intermediate_tensors, **decode.output_tensors}.items()}


def _decibel(noisy: Array, clean: Array) -> float:
    return 10 * math.log10(max(validation_utils.signal_to_noise_ratio(noisy, clean), 1e-9))


def comma_separated(table: Sequence[QuantizationLoss]) -> str:
    """The table with six significant digits, for programs."""
    rows = ([loss.product, f"{loss.snr_db:.6g}", f"{loss.kl_divergence:.6g}"] for loss in table)
    return csv_text(["product", "snr_db", "kl_divergence"], rows)
