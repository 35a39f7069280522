"""The choice of the matrices that are quantized further."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from autocomplete.common.errors import UserError
from autocomplete.quantize import recipes, sensitivity
from helpers.modes import settings

pytestmark = pytest.mark.slow

EXTRA = settings("int4_block32_rtn")["recipe"]


@pytest.fixture(scope="module")
def trial(core_path: Path) -> sensitivity.Trial:
    return sensitivity.Trial(core_path, settings("dynamic_range")["recipe"], None, [list(range(2, 40))])


@pytest.fixture(scope="module")
def parts(trial: sensitivity.Trial) -> list[sensitivity.MatrixSensitivity]:
    return sensitivity.measure_matrices(trial, EXTRA)


def test_every_matrix_but_the_vocabulary_s_is_measured_by_itself(parts: list[sensitivity.MatrixSensitivity]) -> None:
    matrices = ("qkv", "attention_output", "feedforward_up", "feedforward_down")
    assert [p.role for p in parts] == ["positions", *(f"layer_{i}_{m}" for i in range(2) for m in matrices)]
    assert all(p.divergence > 0 and p.saved_bytes > 0 for p in parts)


def test_the_chosen_matrices_harm_least_together() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        parts = [
            sensitivity.MatrixSensitivity(str(i), d, int(1e5 * s))
            for i, (d, s) in enumerate(random.uniform(0.1, 1, (9, 2)))
        ]
        needed = int(random.uniform(0.1, 0.95) * sum(p.saved_bytes for p in parts))
        subsets = [c for n in range(10) for c in itertools.combinations(parts, n)]
        least = min(harm(c) for c in subsets if sum(p.saved_bytes for p in c) >= needed)
        chosen = sensitivity.cheapest(parts, needed)
        assert sum(p.saved_bytes for p in chosen) >= needed
        assert harm(chosen) <= 1.02 * least  # sizes are counted in thousandths


def harm(chosen: Sequence[sensitivity.MatrixSensitivity]) -> float:
    return sum(p.divergence for p in chosen)


def test_all_are_chosen_where_all_are_needed() -> None:
    parts = [sensitivity.MatrixSensitivity(str(i), 1.0, 1000 + i) for i in range(7)]
    assert sensitivity.cheapest(parts, sum(p.saved_bytes for p in parts)) == parts


def test_the_recipe_reaches_the_size(trial: sensitivity.Trial) -> None:
    full_size = sensitivity._shipped_size(recipes.quantize(trial.core, trial.recipe))
    recipe, chosen = sensitivity.recipe_within(trial, EXTRA, 0.85)
    assert 0 < len(chosen) < 9
    quantized = recipes.quantize(trial.core, recipe)
    assert sensitivity._shipped_size(quantized) <= 1.01 * 0.85 * full_size  # names and scales of small matrices
    blockwise_roles = {
        t.name.decode().rpartition("weight_")[2]
        for s in quantized.subgraphs
        for t in s.tensors
        if t.quantization is not None and t.quantization.details is not None
    }
    assert blockwise_roles == {p.role for p in chosen}


def test_an_unreachable_size_is_refused_in_one_line(trial: sensitivity.Trial) -> None:
    with pytest.raises(UserError, match=r"quantize\.extra_recipe\.size is 0\.1; allowed: at least 0\.\d+"):
        sensitivity.recipe_within(trial, EXTRA, 0.1)
