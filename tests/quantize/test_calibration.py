"""Statistics of activations: pooled over calls, and shared by the signatures."""

from typing import Any

import numpy as np

from autocomplete.quantize import calibration
from autocomplete.tflite.matmul_names import MatMul


def statistics(minimum: float, maximum: float, **other: Any) -> dict[str, Any]:
    return {"min": np.array([[minimum]]), "max": np.array([[maximum]]), **other}


def test_a_range_grows_and_averages_count_samples() -> None:
    one = statistics(-1, 1, num_samples=1, mu2=np.array([4.0], np.float32))
    three = statistics(-2, 0.5, num_samples=3, mu2=np.array([8.0], np.float32))
    merged = calibration._merged(one, three)
    assert (float(merged["min"].item()), float(merged["max"].item()), merged["num_samples"]) == (-2, 1, 4)
    np.testing.assert_allclose(merged["mu2"], [0.25 * 4 + 0.75 * 8])


PRODUCTS = [
    MatMul("prefill_8", "layer_0_qkv", ("prefill/x", "prefill_8/layer_0_qkv")),
    MatMul("prefill_8", "layer_0_mix", ("prefill/p", "prefill/v", "prefill_8/layer_0_mix")),
    MatMul("decode", "layer_0_qkv", ("decode/x", "decode/layer_0_qkv")),
    MatMul("decode", "logits", ("decode/last", "decode/logits")),
    MatMul("step", "layer_0_qkv", ("step/x", "step/layer_0_qkv")),
    MatMul("step", "layer_0_mix_1", ("step/p", "step/v", "step/layer_0_mix_1")),
]


def test_a_product_has_the_statistics_of_its_role_in_every_signature() -> None:
    observed = {
        "prefill/x": statistics(-1, 1),
        "decode/x": statistics(-9, 9),
        "decode/last": statistics(-2, 2),
        "prefill/v": statistics(-3, 3),
    }
    shared = calibration.shared_statistics(PRODUCTS, observed, ["prefill_8", "decode"])
    # from the first source
    assert shared["decode/x"] == shared["step/x"] == shared["prefill/x"] == observed["prefill/x"]
    assert shared["decode/last"] == observed["decode/last"]
    assert shared["step/v"] == observed["prefill/v"]
    assert "step/layer_0_qkv" not in shared  # no source observed it


def test_attention_s_weights_are_probabilities() -> None:
    shared = calibration.shared_statistics(PRODUCTS, {"prefill/p": statistics(0.2, 0.3)}, ["prefill_8"])
    for name in ("prefill/p", "step/p"):
        assert (float(shared[name]["min"].item()), float(shared[name]["max"].item())) == (0, 1)


def test_signatures_that_are_no_source_are_ignored() -> None:
    assert calibration.shared_statistics(PRODUCTS, {"decode/x": statistics(-9, 9)}, ["prefill_8"]) == {}
