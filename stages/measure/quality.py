"""Quality of a model against a reference, from logits: perplexity, KL divergence, agreement. Pure NumPy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.arrays import Array


@dataclass(frozen=True)
class Scores:
    """One window's scores, each `[n]` over its scored tokens; losses and divergences in nats."""

    losses: Array
    reference_losses: Array
    divergences: Array
    agreements: Array


def log_softmax(logits: Array) -> Array:
    """Log-probabilities over the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def score(model: Array, base: Array, targets: Array) -> Scores:
    """Scores of log-probabilities `[n, vocab]` of a model and of the reference for the tokens `[n]` that came next."""
    row = np.arange(len(targets))
    return Scores(
        losses=-model[row, targets],
        reference_losses=-base[row, targets],
        divergences=(np.exp(base) * (base - model)).sum(axis=-1),
        agreements=model.argmax(axis=-1) == base.argmax(axis=-1),
    )


def summarize(windows: Sequence[Scores], text_bytes: int) -> dict[str, float]:
    """Metrics over windows of equal length that together hold `text_bytes` bytes of scored text.

    Tokens of one window depend on each other, windows hardly: the standard error is that of the windows' means,
    carried over to exp(mean) by its derivative (delta method).
    """
    losses = np.array([w.losses.mean() for w in windows])
    reference = np.array([w.reference_losses.mean() for w in windows])
    perplexity = float(np.exp(losses.mean()))
    error = losses.std(ddof=1) / np.sqrt(len(losses)) if len(losses) > 1 else float("nan")
    difference = losses - reference
    paired = difference.std(ddof=1) / np.sqrt(len(losses)) if len(losses) > 1 else float("nan")
    ratio = float(np.exp(difference.mean()))
    divergences = np.concatenate([w.divergences for w in windows])
    return {
        "perplexity": perplexity,
        "perplexity_stderr": float(perplexity * error),
        "perplexity_ratio": ratio,
        "perplexity_ratio_stderr": float(ratio * paired),
        "bits_per_byte": float(sum(w.losses.sum() for w in windows) / np.log(2) / text_bytes),
        "top1_agreement": float(np.mean(np.concatenate([w.agreements for w in windows]))),
        "kl_divergence": float(divergences.mean()),
        "kl_divergence_p99": float(np.quantile(divergences, 0.99)),
    }


def difference(logits: Array, reference: Array) -> tuple[float, float]:
    """The largest and the mean absolute difference of logits: parity."""
    apart = np.abs(logits.astype(np.float64) - reference)
    return float(apart.max()), float(apart.mean())


def significant(value: float, digits: int = 6) -> float:
    """A number rounded to so many significant digits: what a metrics file holds."""
    return float(f"{value:.{digits}g}")
