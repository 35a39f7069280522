"""How much predictions suffer when one matrix is quantized further, and which matrices bear it."""

import dataclasses
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.common.processes import pool
from autocomplete.common.progress import progress_bar
from autocomplete.quantize import recipes
from autocomplete.quantize.calibration import Recipe, Statistics
from autocomplete.runtime import compiled, logits
from autocomplete.tflite import edit, flatbuffer, matmul_names

_PROCESSES = 2  # each holds a core and a copy of it, GPT-2 base's 3 GB


@dataclass(frozen=True)
class Part:
    """A matrix that may be quantized further: KL divergence from float32 that comes of it (nats), bytes saved."""

    role: str
    divergence: float
    saved: int


@dataclass(frozen=True)
class Trial:
    """A float32 core under a recipe, and the token sequences by which other recipes are judged."""

    core: Path
    recipe: Recipe
    statistics: Statistics | None
    sequences: Sequence[Sequence[int]]

    def with_further(self, entries: Recipe, roles: Sequence[str]) -> Recipe:
        """The recipe with more entries, for some products alone."""
        return [*self.recipe, *matmul_names.restricted(entries, roles)]


_trials: list[tuple[Trial, list[Array]]] = []  # of a worker process: the trial, and what float32 predicts


def recipe_within(trial: Trial, entries: Recipe, size: float) -> tuple[Recipe, list[Part]]:
    """The recipe with more entries for matrices that bring the core to that share of its size, and which these are.

    Raises:
      UserError: where all matrices together do not.
    """
    whole = _shipped_size(recipes.quantize(trial.core, trial.recipe, trial.statistics))
    parts = matrices(trial, entries)
    least = 1 - sum(p.saved for p in parts) / whole
    if size < least:
        raise UserError(f"quantize.further.size is {size}; allowed: at least {least:.3f}, with every layer's matrices")
    chosen = cheapest(parts, math.ceil((1 - size) * whole))
    return trial.with_further(entries, [p.role for p in chosen]), chosen


def matrices(trial: Trial, entries: Recipe) -> list[Part]:
    """Each matrix but the vocabulary's: the divergence that it alone adds, quantized further, and what it saves."""
    roles = matmul_names.weights(flatbuffer.read(trial.core), "decode")
    further = {role: trial.with_further(entries, [role]) for role in roles}
    found = tried(trial, {"": trial.recipe} | further)
    before, size = found.pop("")
    return [Part(role, max(divergence - before, 0.0), size - own) for role, (divergence, own) in found.items()]


def cheapest(parts: Sequence[Part], needed: int) -> list[Part]:
    """The parts of least divergence in all, taken as additive, that together save the bytes needed.

    By dynamic programming over what is saved (the knapsack problem, turned round), in units of a thousandth of it.
    """
    unit = max(needed // 1000, 1)
    goal = math.ceil(needed / unit)
    best: dict[int, tuple[float, list[Part]]] = {0: (0.0, [])}
    for part in parts:
        for saved, (divergence, chosen) in list(best.items()):
            reached, cost = min(saved + part.saved // unit, goal), divergence + part.divergence
            if reached not in best or cost < best[reached][0]:
                best[reached] = (cost, [*chosen, part])
    return best[max(best)][1]


def tried(trial: Trial, recipes: Mapping[str, Recipe]) -> dict[str, tuple[float, int]]:
    """What each recipe, by its name, makes of decode: KL divergence from float32 in nats, and size in bytes."""
    model, found = flatbuffer.read(trial.core), {}
    others = {edit.text(s.signatureKey) for s in model.signatureDefs} - {"decode"}
    with tempfile.TemporaryDirectory() as temporary, progress_bar("sensitivity", len(recipes)) as show:
        alone = Path(temporary) / "decode.tflite"
        flatbuffer.write(edit.untied(edit.without_signatures(model, others)), alone)
        of_decode = dataclasses.replace(trial, core=alone)
        with pool(_PROCESSES, _load, (of_decode,)) as beside:
            for name, measured in zip(recipes, beside.map(_try, recipes.values()), strict=True):
                found[name] = measured
                show(len(found), name)
    return found


def _load(trial: Trial) -> None:
    _trials.append((trial, _predictions(trial.core, trial.sequences)))


def _try(recipe: Recipe) -> tuple[float, int]:
    """KL divergence in nats, and size in bytes."""
    ((trial, reference),) = _trials
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        path = Path(file.name)
        flatbuffer.write(recipes.quantize(trial.core, recipe, trial.statistics), path)
        return _divergence(_predictions(path, trial.sequences), reference), path.stat().st_size


def _shipped_size(core: Any) -> int:
    steps = {name for s in core.signatureDefs if (name := edit.text(s.signatureKey)).startswith("step")}
    return len(flatbuffer.serialize(edit.without_signatures(core, steps)))


def _predictions(core: Path, sequences: Sequence[Sequence[int]]) -> list[Array]:
    """Log-probabilities `[n, vocab]` for each sequence."""
    session = compiled.Session(compiled.load(core, threads=1))
    return [logits.log_softmax(logits.logits(session, np.array(s, np.int32))) for s in sequences]


def _divergence(predictions: Sequence[Array], reference: Sequence[Array]) -> float:
    """Mean KL divergence in nats."""
    pairs = zip(predictions, reference, strict=True)
    return float(np.mean([(np.exp(r) * (r - p)).sum(axis=-1).mean() for p, r in pairs]))
