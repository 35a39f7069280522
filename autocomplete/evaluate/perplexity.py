"""Quality of a model against a reference, from logits: perplexity, KL divergence, agreement."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.processes import pool
from autocomplete.common.progress import progress_bar
from autocomplete.runtime import compiled
from autocomplete.runtime.logits import log_softmax, scored


@dataclass(frozen=True)
class Scores:
    """One window's scores, each `[n]` over its scored tokens; losses and divergences in nats."""

    losses: Array
    reference_losses: Array
    divergences: Array
    agreements: Array


def score(model: Array, base: Array, targets: Array) -> Scores:
    """Scores of log-probabilities `[n, vocab]` of a model and of the reference for the tokens `[n]` that came next."""
    row = np.arange(len(targets))
    return Scores(
        losses=-model[row, targets],
        reference_losses=-base[row, targets],
        divergences=(np.exp(base) * (base - model)).sum(axis=-1),
        agreements=model.argmax(axis=-1) == base.argmax(axis=-1),
    )


def summarize(windows: Sequence[Scores], text_bytes: int) -> dict[str, float | None]:
    """Metrics over windows of equal length that together hold `text_bytes` bytes of scored text.

    Tokens of one window depend on each other, windows hardly: the standard error is that of the windows' means,
    carried over to exp(mean) by its derivative (delta method); None for one window, which has no spread.
    """
    losses = np.array([w.losses.mean() for w in windows])
    reference = np.array([w.reference_losses.mean() for w in windows])
    perplexity = float(np.exp(losses.mean()))
    ratios = losses - reference
    ratio = float(np.exp(ratios.mean()))
    error, ratio_error = _standard_error(losses), _standard_error(ratios)
    divergences = np.concatenate([w.divergences for w in windows])
    return {
        "perplexity": perplexity,
        "perplexity_stderr": None if error is None else perplexity * error,
        "perplexity_ratio": ratio,
        "perplexity_ratio_stderr": None if ratio_error is None else ratio * ratio_error,
        "bits_per_byte": float(sum(w.losses.sum() for w in windows) / np.log(2) / text_bytes),
        "top1_agreement": float(np.mean(np.concatenate([w.agreements for w in windows]))),
        "kl_divergence": float(divergences.mean()),
        "kl_divergence_p99": float(np.quantile(divergences, 0.99)),
    }


def _standard_error(means: Array) -> float | None:
    """Of the mean of windows' means; None for one window."""
    return float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else None


def difference(logits: Array, reference: Array) -> tuple[float, float]:
    """The largest and the mean absolute difference of logits: parity."""
    apart = np.abs(logits.astype(np.float64) - reference)
    return float(apart.max()), float(apart.mean())


def significant(value: float, digits: int = 6) -> float:
    """A number rounded to so many significant digits: what a metrics file holds."""
    return float(f"{value:.{digits}g}")


_sessions: list[compiled.CompiledSession] = []  # of a worker process


def scores(cores: Sequence[Path], windows: Array, processes: int) -> list[list[Scores]]:
    """For each core its scores over each of the windows `[n, slots]`, against the first core."""
    made: list[list[Scores]] = []
    with (
        progress_bar("quality", len(windows)) as show,
        pool(processes, _load, (list(cores),)) as beside,
    ):
        for window_scores in beside.map(_score, windows):
            made.append(window_scores)
            show(len(made), "windows")
    return [list(of_core) for of_core in zip(*made, strict=True)]


def _load(cores: Sequence[Path]) -> None:
    _sessions.extend(compiled.CompiledSession(compiled.load(core, threads=1)) for core in cores)


def _score(window: Array) -> list[Scores]:
    predictions = [log_softmax(scored(session, window[:-1])) for session in _sessions]
    return [score(p, predictions[0], window[1:]) for p in predictions]
