"""Which matrices are quantized further, and how many."""

from pathlib import Path

import pytest
from conftest import settings

from stages.errors import UserError
from stages.measure import sensitivity
from stages.tflite import quantization

ENTRY = settings("int4_block32")["recipe"][0] | {"operation": "FULLY_CONNECTED"}


@pytest.fixture(scope="module")
def trial(core_path: Path) -> sensitivity.Trial:
    return sensitivity.Trial(core_path, settings("dynamic_range")["recipe"], None, [list(range(2, 40))])


@pytest.fixture(scope="module")
def ranked(trial: sensitivity.Trial) -> list[sensitivity.Part]:
    return sensitivity.ranking(trial, ENTRY)


def test_every_matrix_of_the_layers_is_tried_by_itself(ranked: list[sensitivity.Part]) -> None:
    matrices = ("qkv", "attention_output", "feedforward_up", "feedforward_down")
    assert {p.role for p in ranked} == {f"layer_{i}_{m}" for i in range(2) for m in matrices}
    assert all(p.divergence > 0 and p.saved > 0 for p in ranked)
    costs = [p.divergence / p.saved for p in ranked]
    assert costs == sorted(costs)


def test_the_least_harmful_come_first_until_the_size_is_reached(
    trial: sensitivity.Trial, ranked: list[sensitivity.Part]
) -> None:
    whole = sensitivity._shipped_size(quantization.quantize(trial.core, trial.recipe))
    size = 1 - sum(p.saved for p in ranked[:3]) / whole
    recipe, chosen = sensitivity.recipe_within(trial, ENTRY, size + 1e-9)
    assert chosen == ranked[:3]
    made = quantization.quantize(trial.core, recipe)
    assert sensitivity._shipped_size(made) <= 1.01 * size * whole
    blocks = {
        t.name.decode().rpartition("weight_")[2]
        for s in made.subgraphs for t in s.tensors if t.quantization is not None and t.quantization.details is not None
    }  # fmt: skip
    assert blocks == {p.role for p in chosen}


def test_a_size_out_of_reach_is_one_line(trial: sensitivity.Trial) -> None:
    with pytest.raises(UserError, match=r"quantize\.further\.size is 0\.1; allowed: at least 0\.\d+"):
        sensitivity.recipe_within(trial, ENTRY, 0.1)
