"""The quantization loss of each matrix product of a mode."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autocomplete.data import evaluation_text
from autocomplete.evaluate import layer_report
from autocomplete.evaluate.layer_report import QuantizationLoss
from autocomplete.quantize import recipes, sensitivity
from autocomplete.tflite import flatbuffer
from helpers.modes import settings
from helpers.toys import TEXT, Toy
from stages import layers as stage

pytestmark = pytest.mark.slow

MATRICES = ("qkv", "attention_output", "feedforward_up", "feedforward_down")
LOOKUPS = ["embedding", "positions"]
WEIGHTED = [*LOOKUPS, *(f"layer_{i}_{m}" for i in range(2) for m in MATRICES), "logits"]


def losses(toy: Toy, core: Path, recipe: list[dict[str, Any]], folder: Path) -> dict[str, QuantizationLoss]:
    windows = evaluation_text.windows(
        TEXT, toy.bpe, evaluation_text.BoundaryTokens(None, toy.vocabulary.end_token_id), 48, 1
    )
    statistics = recipes.calibrate(core, recipe, windows.tolist())
    shipped = folder / "shipped.tflite"
    flatbuffer.write(recipes.quantize(core, recipe, statistics), shipped)
    divergences = layer_report.divergences(sensitivity.Trial(core, [], statistics, windows.tolist()), recipe)
    return {loss.product: loss for loss in layer_report.losses(divergences, layer_report.noise(core, shipped, windows))}


def test_every_quantized_product_is_listed(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    int8 = losses(toy, core_path, settings("dynamic_range")["recipe"], tmp_path)
    assert list(int8) == WEIGHTED  # attention's own products stay as they are
    int4 = losses(toy, core_path, settings("int4_block32_rtn")["recipe"], tmp_path)
    assert list(int4) == WEIGHTED
    for product in WEIGHTED:  # four bits less are 24 dB less
        assert 15 < int8[product].snr_db - int4[product].snr_db < 35
        assert 0 <= int8[product].kl_divergence < int4[product].kl_divergence


def test_integer_activations_count_attention_s_products_too(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    int8 = losses(toy, core_path, settings("full_integer")["recipe"], tmp_path)
    assert set(int8) == {*WEIGHTED, *(f"layer_{i}_{p}" for i in range(2) for p in ("scores", "mix"))}


def test_a_bad_layer_has_the_largest_loss(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    coarse = settings("int4_block32_rtn")["recipe"][0] | {"regex": "layer_1_qkv", "operation": "FULLY_CONNECTED"}
    fine = settings("float16")["recipe"]
    good, bad = (losses(toy, core_path, recipe, tmp_path) for recipe in (fine, [*fine, coarse]))
    assert max(bad.values(), key=lambda loss: loss.kl_divergence).product == "layer_1_qkv"
    assert bad["layer_1_qkv"].snr_db < good["layer_1_qkv"].snr_db - 20
    assert bad["layer_0_qkv"] == good["layer_0_qkv"]


def test_noise_of_a_product_is_that_of_its_result() -> None:
    clean = np.linspace(-1, 1, 1000)
    assert layer_report._decibel(clean + 0.01 * np.sign(clean), clean) == pytest.approx(
        10 * np.log10(np.mean(clean**2) / 1e-4), abs=1e-3
    )


def test_float32_has_no_losses(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    assert losses(toy, core_path, [], tmp_path) == {}
    stage.plot("float32", [], tmp_path / "layers.png")
    assert layer_report.comma_separated([]) == "product,snr_db,kl_divergence\n"


def test_the_table_and_the_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layer_losses = [
        QuantizationLoss("layer_0_qkv", 40.0, 1e-5),
        QuantizationLoss("logits", 21.5, 0.0123456789),
    ]
    rows = list(csv.DictReader(io.StringIO(layer_report.comma_separated(layer_losses))))
    assert rows[1] == {"product": "logits", "snr_db": "21.5", "kl_divergence": "0.0123457"}
    stage.show("int4", layer_losses)
    assert "layer_0_qkv" in capsys.readouterr().out
    for name in ("one.png", "two.png"):
        stage.plot("int4", layer_losses, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
