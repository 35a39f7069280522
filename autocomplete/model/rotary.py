"""Rotary positions: how far each pair of a head's dimensions turns from one position to the next, in radians."""

import math
from dataclasses import dataclass

import numpy as np

from autocomplete.common.arrays import Array


@dataclass(frozen=True)
class Stretch:
    """How Llama 3.1 stretches slow turns for longer texts: `factor` slower below `low` turns in `context` positions.

    Above `high` turns nothing changes, and between the two it changes bit by bit.
    """

    factor: float
    low: float
    high: float
    context: int


def turns(base: float, size: int, scaling: float = 1.0, stretch: Stretch | None = None) -> tuple[float, ...]:
    """Turns of a head's first `size` dimensions, base^(−2i/size) (Su et al. 2021, RoFormer, eq. 15), over `scaling`."""
    plain = np.float32(base) ** -(np.arange(0, size, 2, dtype=np.float32) / np.float32(size)) / np.float32(scaling)
    found = plain if stretch is None else _stretched(plain, stretch)
    return tuple(found.astype(np.float32).tolist())


def _stretched(plain: Array, stretch: Stretch) -> Array:
    rounds = stretch.context * plain / (2 * math.pi)
    kept = np.clip((rounds - stretch.low) / (stretch.high - stretch.low), 0, 1)
    stretched: Array = (1 - kept) * plain / stretch.factor + kept * plain
    return stretched
