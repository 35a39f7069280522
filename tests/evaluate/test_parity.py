"""Differences of logits, whose results are known."""

import numpy as np

from autocomplete.evaluate import parity


def test_the_largest_and_the_mean_difference() -> None:
    assert parity.difference(np.array([1.0, 2.5]), np.array([1.0, 2.0])) == (0.5, 0.25)
