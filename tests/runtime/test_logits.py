"""Log-probabilities in float64, also of numbers that would overflow."""

import numpy as np
import pytest

from autocomplete.runtime import logits


@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_probabilities_add_up_to_1(shift: float) -> None:
    values = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], np.float32) + np.float32(shift)
    found = logits.log_softmax(values)
    assert found.dtype == np.float64
    np.testing.assert_allclose(np.exp(found).sum(axis=-1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(found[1], np.log(1 / 3), rtol=1e-12)


def test_what_cannot_be_keeps_no_probability() -> None:
    found = logits.log_softmax(np.array([0.0, -1e30], np.float32))
    assert found[0] == 0
    assert np.exp(found[1]) == 0
