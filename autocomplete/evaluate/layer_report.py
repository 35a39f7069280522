"""How much each product of a quantized core loses: the noise in its result, and what it alone does to predictions."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
_EVERY = 16  # tokens of a window of which one's activations are compared


@dataclass(frozen=True)
class Loss:
    """What one product loses.

    `snr_db`: signal-to-noise ratio of its result in the quantized core, the noise of earlier products included, in dB,
    the mean over tokens. `kl_divergence`: of the predictions from float32's where it alone is quantized, in nats.
    """

    product: str
    snr_db: float
    kl_divergence: float


def losses(cores: tuple[Path, Path], recipe: Recipe, statistics: Statistics | None, windows: Array) -> list[Loss]:
    """The loss of every product that a recipe quantizes, in the order of the graph; none for an empty recipe.

    Args:
      cores: the float32 core, and the shipped one.
      recipe: that the shipped core was quantized by.
      statistics: of the float32 core's activations, if the recipe asks for them.
      windows: tokens `[n, slots]` that both are measured with.
    """
    if not recipe:
        return []
    float32, shipped = cores
    roles = matmul_names.roles(flatbuffer.read(float32), "decode")
    alone = {role: matmul_names.restrict_recipe(recipe, [role]) for role in roles}
    found = sensitivity.measure_recipes(sensitivity.Trial(float32, [], statistics, windows.tolist()), alone)
    ratios = signal_to_noise(
        float32, shipped, samples(sessions.InterpreterSession(interpreters.litert(float32, 1)), windows)
    )
    # where a recipe leaves a product as it is, nothing changes at all
    return [Loss(role, ratios[f"decode/{role}"], nats) for role, (nats, _) in found.items() if nats != 0]


def samples(session: sessions.InterpreterSession, windows: Array) -> Iterator[dict[str, Array]]:
    """The inputs of decode at some tokens of each window, the KV cache as float32 has it then."""
    for window in windows:
        session.reset()
        for place, token in enumerate(window):
            if place % _EVERY == _EVERY - 1:
                yield session.inputs(np.array([token]))
            session.decode(int(token))


def signal_to_noise(reference: Path, target: Path, inputs: Iterable[dict[str, Array]]) -> dict[str, float]:
    """For each tensor of decode that both models name, the mean over the inputs of its signal-to-noise ratio in dB."""
    with recipes.quiet():
        compared = model_validator.compare_model(
            str(reference), str(target), {"decode": inputs}, [_SNR], [_decibel], num_threads=1
        )
    found = compared.get_signature_comparison_result("decode")
    return {n: v[_SNR.value] for n, v in {**found.intermediate_tensors, **found.output_tensors}.items()}


def _decibel(noisy: Any, clean: Any) -> float:
    return 10 * math.log10(max(validation_utils.signal_to_noise_ratio(noisy, clean), 1e-9))


def comma_separated(found: Sequence[Loss]) -> str:
    """The table with six significant digits, for programs."""
    rows = ([loss.product, f"{loss.snr_db:.6g}", f"{loss.kl_divergence:.6g}"] for loss in found)
    return csv_text(["product", "snr_db", "kl_divergence"], rows)
