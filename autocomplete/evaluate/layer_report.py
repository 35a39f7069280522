"""What quantization costs in each matrix product of a core: noise in its result, and divergence of the predictions."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from litert_quantizer import model_validator
from litert_quantizer.utils import validation_utils

from autocomplete.common.arrays import Array
from autocomplete.common.artifacts import Recipe
from autocomplete.common.files import csv_text
from autocomplete.quantize import recipes, sensitivity
from autocomplete.quantize.calibration import Statistics
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


def losses(
    cores: tuple[Path, Path], recipe: Recipe, statistics: Statistics | None, windows: Array
) -> list[QuantizationLoss]:
    """The loss of every product that a recipe quantizes, in the order of the graph; none for an empty recipe.

    Args:
      cores: the float32 core, and the shipped one.
      recipe: the recipe that the shipped core was quantized by.
      statistics: those of the float32 core's activations, if the recipe needs them.
      windows: the ids `[n, slots]` that both cores read.
    """
    if not recipe:
        return []
    float32, shipped = cores
    roles = matmul_names.roles(flatbuffer.read(float32), "decode")
    single_recipes = {role: matmul_names.restrict_recipe(recipe, [role]) for role in roles}
    measured = sensitivity.measure_recipes(sensitivity.Trial(float32, [], statistics, windows.tolist()), single_recipes)
    session = sessions.InterpreterSession(interpreters.litert(float32, 1))
    snr_db = signal_to_noise_db(float32, shipped, samples(session, windows))
    return [
        QuantizationLoss(role, snr_db[f"decode/{role}"], divergence)
        for role, (divergence, _) in measured.items()
        if divergence != 0  # else the recipe leaves the product as it is
    ]


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
