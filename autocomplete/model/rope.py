"""Rotary position embeddings (Su et al. 2021, RoFormer): the angle per position of each pair of dimensions."""

import math
from dataclasses import dataclass

import numpy as np

from autocomplete.common.arrays import Array


@dataclass(frozen=True)
class Llama3RopeScaling:
    """How Llama 3.1 lowers frequencies for longer texts.

    A dimension that makes fewer than `low_freq_factor` rotations within the original context turns `factor` times as
    slowly. One that makes more than `high_freq_factor` is unchanged. Between the two the factor is interpolated.

    Attributes:
      factor: divides the low frequencies.
      low_freq_factor: rotations within the original context.
      high_freq_factor: rotations within the original context.
      original_context_length: tokens that the model was pretrained with.
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context_length: int


def inv_freq(
    theta: float, rotary_dim: int, linear_factor: float = 1.0, llama3: Llama3RopeScaling | None = None
) -> tuple[float, ...]:
    """The inverse frequencies θ^(−2i/d) (RoFormer, eq. 15), in radians per position.

    Args:
      theta: the base θ.
      rotary_dim: d, how many dimensions of a head are rotated.
      linear_factor: divides all frequencies (linear scaling).
      llama3: scaling of the low frequencies alone.
    """
    exponents = np.arange(0, rotary_dim, 2, dtype=np.float32) / np.float32(rotary_dim)
    frequencies = np.float32(theta) ** -exponents / np.float32(linear_factor)
    if llama3 is not None:
        frequencies = _scaled(frequencies, llama3)
    return tuple(frequencies.astype(np.float32).tolist())


def _scaled(frequencies: Array, scaling: Llama3RopeScaling) -> Array:
    """The frequencies as Llama 3.1 scales them."""
    rotations = scaling.original_context_length * frequencies / (2 * math.pi)
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    unchanged = np.clip((rotations - low) / (high - low), 0, 1)
    scaled: Array = (1 - unchanged) * frequencies / scaling.factor + unchanged * frequencies
    return scaled
