"""Inverse frequencies of rotary position embeddings."""

import math

import numpy as np
import pytest

from autocomplete.model.rope import Llama3RopeScaling, inv_freq

LLAMA3 = Llama3RopeScaling(8.0, 1.0, 4.0, 8192)


@pytest.mark.parametrize(("theta", "size"), [(10_000.0, 8), (500_000.0, 128), (10_000.0, 2)])
def test_the_formula(theta: float, size: int) -> None:
    expected = [theta ** (-2 * i / size) for i in range(size // 2)]
    np.testing.assert_allclose(inv_freq(theta, size), expected, rtol=1e-6)


def test_linear_scaling_divides_all_frequencies_alike() -> None:
    np.testing.assert_allclose(np.array(inv_freq(10_000.0, 16)) / 4, inv_freq(10_000.0, 16, 4.0), rtol=1e-6)


def test_llama_3_scales_only_low_frequencies() -> None:
    plain, scaled = (np.array(inv_freq(500_000.0, 128, llama3=s)) for s in (None, LLAMA3))
    rotations = LLAMA3.original_context_length * plain / (2 * math.pi)
    fast, slow = rotations >= LLAMA3.high_freq_factor, rotations <= LLAMA3.low_freq_factor
    between = ~(fast | slow)
    assert fast.any() and slow.any() and between.any()
    np.testing.assert_allclose(scaled[fast], plain[fast], rtol=1e-6)
    np.testing.assert_allclose(scaled[slow], plain[slow] / LLAMA3.factor, rtol=1e-6)
    assert ((scaled[between] < plain[between]) & (scaled[between] > plain[between] / LLAMA3.factor)).all()
    assert (np.diff(scaled) < 0).all()


def test_without_rotated_dimensions_there_are_no_frequencies() -> None:
    assert inv_freq(10_000.0, 0) == ()
