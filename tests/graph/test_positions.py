"""Attention masks of layers with a window, and for heads that share keys."""

import numpy as np
import pytest
import tensorflow as tf

from autocomplete.graph import positions
from autocomplete.graph.attention import MASKED
from autocomplete.model.config import DecoderConfig, LayerConfig

SLOTS = 6


def config(heads: int, kv_heads: int) -> DecoderConfig:
    return DecoderConfig(1, 8, heads, kv_heads, 4, 16, 11, 1e-5, "silu")


def causal_inputs(position: list[int]) -> dict[str, tf.Tensor]:
    """A causal mask over a fixed cache, for tokens at some positions."""
    visible = np.arange(SLOTS) <= np.array(position)[:, None]
    mask = np.where(visible, 0.0, MASKED).astype(np.float32)[None, None]
    return {"input_pos": tf.constant(position), "mask": tf.constant(mask)}


def visible_slots(inputs: dict[str, tf.Tensor]) -> list[list[int]]:
    """The slots that each row of a mask leaves visible."""
    return [np.flatnonzero(row == 0).tolist() for row in inputs["mask"].numpy()[0, 0]]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (None, [[0, 1, 2, 3], [0, 1, 2, 3, 4]]),
        (2, [[2, 3], [3, 4]]),
        (1, [[3], [4]]),
        (99, [[0, 1, 2, 3], [0, 1, 2, 3, 4]]),
    ],
)
def test_a_window_hides_what_lies_before_it(window: int | None, expected: list[list[int]]) -> None:
    inputs = positions.layer_inputs(config(2, 2), LayerConfig(sliding_window=window), causal_inputs([3, 4]))
    assert visible_slots(inputs) == expected


def test_a_mask_has_its_rows_for_each_query_head_of_a_group() -> None:
    inputs = positions.layer_inputs(config(4, 2), LayerConfig(), causal_inputs([3, 4]))
    assert visible_slots(inputs) == [[0, 1, 2, 3], [0, 1, 2, 3, 4]] * 2
    one_row = positions.layer_inputs(config(4, 2), LayerConfig(), causal_inputs([3]))
    assert one_row["mask"].shape == (1, 1, 1, SLOTS)


def test_slots_may_hold_other_positions() -> None:
    """As in a cache of two parts, of which `recent` begins at position 10."""
    inputs = {
        "input_pos": tf.constant([11, 12]),
        "recent_mask": tf.zeros([1, 1, 2, 4]),
        positions.RECENT_POS: tf.constant([10, 11, 12, 13]),
    }
    masked = positions.layer_inputs(config(2, 2), LayerConfig(sliding_window=2), inputs)
    assert (masked["recent_mask"].numpy()[0, 0] == 0).tolist() == [[True, True, True, True], [False, True, True, True]]
    assert set(masked) == {"input_pos", "recent_mask"}


def test_rotations_are_position_times_frequency() -> None:
    layer = LayerConfig(inv_freq=(1.0, 0.1))
    inputs = positions.layer_inputs(config(2, 2), layer, causal_inputs([0, 3]))
    np.testing.assert_allclose(inputs[positions.COSINE], np.cos([[0.0, 0.0], [3.0, 0.3]]), rtol=1e-6)
    np.testing.assert_allclose(inputs[positions.SINE], np.sin([[0.0, 0.0], [3.0, 0.3]]), atol=1e-7, rtol=1e-6)
