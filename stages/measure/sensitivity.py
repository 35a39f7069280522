"""How much predictions suffer when one matrix is quantized further, and which matrices bear it."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stages.arrays import Array
from stages.errors import UserError
from stages.measure import quality, scoring
from stages.progress import progress_bar
from stages.tflite import flatbuffer, graph, products, quantization, runner
from stages.tflite.calibration import Recipe, Statistics

_SEQUENCES = 2  # of those for calibration: matrices differ by more than the error of two


@dataclass(frozen=True)
class Part:
    """A matrix that may be quantized further: KL divergence from float32 that comes of it (nats), bytes saved."""

    role: str
    divergence: float
    saved: int


@dataclass(frozen=True)
class Choice:
    """A float32 core under a recipe, the entry that quantizes further, and what matrices are judged by."""

    core: Path
    recipe: Recipe
    entry: Mapping[str, Any]
    statistics: Statistics | None
    sequences: Sequence[Sequence[int]]

    def with_entry(self, roles: Sequence[str]) -> Recipe:
        """The recipe with the entry for some products alone: the quantizer puts a semicolon behind each name."""
        return [*self.recipe, {**self.entry, "regex": f"/({'|'.join(roles)});"}]


def recipe_within(choice: Choice, size: float) -> tuple[Recipe, list[Part]]:
    """The recipe with the entry for as many matrices as bring the core to that share of its size, and which these are.

    Raises:
      UserError: where all matrices together do not.
    """
    whole = _shipped_size(quantization.quantize(choice.core, choice.recipe, choice.statistics))
    saved, chosen = 0, []
    for part in ranking(choice):
        if whole - saved <= size * whole:
            break
        saved += part.saved
        chosen.append(part)
    if whole - saved > size * whole:
        least = 1 - saved / whole
        raise UserError(f"quantize.further.size is {size}; allowed: at least {least:.3f}, with every layer's matrices")
    return choice.with_entry([p.role for p in chosen]), chosen


def ranking(choice: Choice) -> list[Part]:
    """Each matrix of the layers, alone quantized further, by the divergence that each saved byte costs."""
    model = flatbuffer.read(choice.core)
    found = [p for p in products.products(model) if p.signature == "decode"]
    roles = [p.role for p in found if len(p.activations) == 2 and p.role != products.LOGITS]
    others = {graph.text(s.signatureKey) for s in model.signatureDefs} - {"decode"}
    parts: list[Part] = []
    with tempfile.TemporaryDirectory() as temporary, progress_bar("sensitivity", len(roles)) as show:
        alone, path = Path(temporary) / "decode.tflite", Path(temporary) / "part.tflite"
        flatbuffer.write(graph.without_signatures(model, others), alone)
        sequences = choice.sequences[:_SEQUENCES]
        reference = _predictions(alone, sequences)
        size = len(flatbuffer.serialize(quantization.quantize(alone, choice.recipe, choice.statistics)))
        for role in roles:
            flatbuffer.write(quantization.quantize(alone, choice.with_entry([role]), choice.statistics), path)
            divergence = _divergence(_predictions(path, sequences), reference)
            parts.append(Part(role, divergence, size - path.stat().st_size))
            show(len(parts), role)
    return sorted(parts, key=lambda part: part.divergence / part.saved)


def _shipped_size(core: Any) -> int:
    steps = {name for s in core.signatureDefs if (name := graph.text(s.signatureKey)).startswith("step")}
    return len(flatbuffer.serialize(graph.without_signatures(core, steps)))


def _predictions(core: Path, sequences: Sequence[Sequence[int]]) -> list[Array]:
    """Log-probabilities `[n, vocab]` for each sequence."""
    session = runner.Session(runner.litert(core, threads=1))
    return [quality.log_softmax(scoring.logits(session, np.array(s, np.int32))) for s in sequences]


def _divergence(predictions: Sequence[Array], reference: Sequence[Array]) -> float:
    """Mean KL divergence in nats."""
    pairs = zip(predictions, reference, strict=True)
    return float(np.mean([(np.exp(r) * (r - p)).sum(axis=-1).mean() for p, r in pairs]))
