"""How much predictions suffer when one matrix is quantized further, and which matrices bear it best.

Divergences are mean KL divergences of the predictions from those of the float32 core, in nats.
"""

import dataclasses
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.artifacts import Recipe
from autocomplete.common.errors import UserError
from autocomplete.common.processes import pool
from autocomplete.common.progress import progress_bar
from autocomplete.quantize import recipes
from autocomplete.quantize.calibration import Statistics
from autocomplete.runtime import compiled, logits
from autocomplete.tflite import edit, flatbuffer, matmul_names

_PROCESSES = 2  # each holds a core and a copy of it, 3 GB for GPT-2 base


@dataclass(frozen=True)
class MatrixSensitivity:
    """A matrix that may be quantized further.

    Attributes:
      role: its name in the core (matmul_names.py).
      divergence: that this adds, in nats.
      saved_bytes: that this saves.
    """

    role: str
    divergence: float
    saved_bytes: int


@dataclass(frozen=True)
class Trial:
    """What recipes are tried on.

    Attributes:
      core: the float32 core.
      recipe: that further entries are added to.
      statistics: of the core's activations, if the recipes need them.
      sequences: tokens that the predictions are compared on.
    """

    core: Path
    recipe: Recipe
    statistics: Statistics | None
    sequences: Sequence[Sequence[int]]

    def with_extra(self, entries: Recipe, roles: Sequence[str]) -> Recipe:
        """The recipe with extra entries for some matrices."""
        return [*self.recipe, *matmul_names.restrict_recipe(entries, roles)]


_trials: list[tuple[Trial, list[Array]]] = []  # of a worker process: the trial, and the float32 core's predictions


def recipe_within(trial: Trial, entries: Recipe, size: float) -> tuple[Recipe, list[MatrixSensitivity]]:
    """The recipe with extra entries for the matrices that bring the core to a share of its size, and these matrices.

    Raises:
      UserError: if all matrices together do not.
    """
    whole = _shipped_size(recipes.quantize(trial.core, trial.recipe, trial.statistics))
    matrices = measure_matrices(trial, entries)
    least = 1 - sum(m.saved_bytes for m in matrices) / whole
    if size < least:
        raise UserError(
            f"quantize.extra_recipe.size is {size}; allowed: at least {least:.3f}, with every layer's matrices"
        )
    chosen = cheapest(matrices, math.ceil((1 - size) * whole))
    return trial.with_extra(entries, [m.role for m in chosen]), chosen


def measure_matrices(trial: Trial, entries: Recipe) -> list[MatrixSensitivity]:
    """Each matrix but the vocabulary's, when the extra entries quantize it alone."""
    roles = matmul_names.weight_roles(flatbuffer.read(trial.core), "decode")
    with_one = {role: trial.with_extra(entries, [role]) for role in roles}
    measured = measure_recipes(trial, {"": trial.recipe} | with_one)
    base_divergence, base_size = measured.pop("")
    return [
        MatrixSensitivity(role, max(divergence - base_divergence, 0.0), base_size - size)
        for role, (divergence, size) in measured.items()
    ]


def cheapest(matrices: Sequence[MatrixSensitivity], needed: int) -> list[MatrixSensitivity]:
    """The matrices of least divergence that together save the bytes needed, if divergences add up.

    By dynamic programming over the bytes saved (a knapsack problem), in units of a thousandth of the bytes needed.
    """
    unit = max(needed // 1000, 1)
    goal = math.ceil(needed / unit)
    best: dict[int, tuple[float, list[MatrixSensitivity]]] = {0: (0.0, [])}
    for matrix in matrices:
        for saved, (divergence, chosen) in list(best.items()):
            reached, cost = min(saved + matrix.saved_bytes // unit, goal), divergence + matrix.divergence
            if reached not in best or cost < best[reached][0]:
                best[reached] = (cost, [*chosen, matrix])
    return best[max(best)][1]


def measure_recipes(trial: Trial, recipes: Mapping[str, Recipe]) -> dict[str, tuple[float, int]]:
    """Of decode under each recipe, by the recipe's name, the divergence and the size in bytes."""
    model, measured = flatbuffer.read(trial.core), {}
    others = {edit.text(s.signatureKey) for s in model.signatureDefs} - {"decode"}
    with tempfile.TemporaryDirectory() as temporary, progress_bar("sensitivity", len(recipes)) as show:
        decode_core = Path(temporary) / "decode.tflite"
        flatbuffer.write(edit.with_unshared_constants(edit.without_signatures(model, others)), decode_core)
        of_decode = dataclasses.replace(trial, core=decode_core)
        with pool(_PROCESSES, _load, (of_decode,)) as workers:
            for name, result in zip(recipes, workers.map(_measure, recipes.values()), strict=True):
                measured[name] = result
                show(len(measured), name)
    return measured


def _load(trial: Trial) -> None:
    _trials.append((trial, _predictions(trial.core, trial.sequences)))


def _measure(recipe: Recipe) -> tuple[float, int]:
    """The divergence, and the size in bytes."""
    ((trial, reference),) = _trials
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        path = Path(file.name)
        flatbuffer.write(recipes.quantize(trial.core, recipe, trial.statistics), path)
        return _divergence(_predictions(path, trial.sequences), reference), path.stat().st_size


def _shipped_size(core: Any) -> int:
    """The size in bytes of a core without the signatures that only drivers call."""
    steps = {name for s in core.signatureDefs if (name := edit.text(s.signatureKey)).startswith("step")}
    return len(flatbuffer.serialize(edit.without_signatures(core, steps)))


def _predictions(core: Path, sequences: Sequence[Sequence[int]]) -> list[Array]:
    """Log-probabilities `[n, V]` for each sequence of n tokens."""
    session = compiled.CompiledSession(compiled.load(core, threads=1))
    return [logits.log_softmax(logits.logits(session, np.array(s, np.int32))) for s in sequences]


def _divergence(predictions: Sequence[Array], reference: Sequence[Array]) -> float:
    pairs = zip(predictions, reference, strict=True)
    return float(np.mean([(np.exp(r) * (r - p)).sum(axis=-1).mean() for p, r in pairs]))
