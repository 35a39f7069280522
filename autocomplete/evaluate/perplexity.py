"""Quality of cores against the float32 core, from logits: perplexity, KL divergence, top-1 agreement."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.metrics import MetricValues
from autocomplete.evaluate.mode_files import ModeFiles
from autocomplete.runtime import logits

_PROBE_TOKENS = 32  # on which a core's signature `score` is compared with decode


@dataclass(frozen=True)
class Scores:
    """A window's scores of a core against the reference, each `[n]` over its tokens; losses and divergences in nats."""

    losses: Array
    reference_losses: Array
    divergences: Array
    agreements: Array


def score_windows(mode: ModeFiles, windows: Array) -> list[list[Scores]]:
    """For each of the windows of ids `[n, slots]` the scores of each core of `_cores`."""
    probe = windows[0, :_PROBE_TOKENS]
    readers = [logits.reader(core, scoring_core, probe) for core, scoring_core in _cores(mode)]
    by_window = []
    for window in windows:
        predictions = [logits.log_softmax(read(window[:-1])) for read in readers]
        by_window.append([score(p, predictions[0], window[1:]) for p in predictions])
    return by_window


def _cores(mode: ModeFiles) -> list[tuple[Path, Path]]:
    """The float32 core, the shipped core and the text model's, where that has weights of its own.

    Each with the core of the same weights that has the signature `score`.
    """
    float32 = mode.converted / "core.tflite"
    cores = [(float32, float32), (mode.core, mode.all_signatures_core)]
    if mode.text_core is not None and mode.recipe.text_recipe:
        cores.append((mode.text_core, mode.text_core))
    return cores


def metrics(mode: ModeFiles, windows: Array, by_window: Sequence[Sequence[Scores]]) -> MetricValues:
    """The metrics of the shipped core over windows of ids `[n, slots]`, and the ratio of the text model's core.

    The metrics of the text model are None for a mode without one.
    """
    by_core = [list(scores) for scores in zip(*by_window, strict=True)]
    token_lengths = np.array([len(b) for b in mode.token_bytes])
    text_bytes = int(token_lengths[windows[:, 1:]].sum())
    of_text = {} if mode.text_core is None else summarize(by_core[-1], text_bytes)
    text_metrics = ("perplexity_ratio", "perplexity_ratio_stderr")
    return summarize(by_core[1], text_bytes) | {f"text_{m}": of_text.get(m) for m in text_metrics}


def score(predictions: Array, reference: Array, targets: Array) -> Scores:
    """The scores of log-probabilities `[n, V]` of a core and of the reference; `targets` `[n]` are the next tokens."""
    row = np.arange(len(targets))
    return Scores(
        losses=-predictions[row, targets],
        reference_losses=-reference[row, targets],
        divergences=(np.exp(reference) * (reference - predictions)).sum(axis=-1),
        agreements=predictions.argmax(axis=-1) == reference.argmax(axis=-1),
    )


def summarize(windows: Sequence[Scores], text_bytes: int) -> MetricValues:
    """Metrics over windows of equal length that together hold `text_bytes` bytes of scored text.

    Tokens of one window depend on each other, windows hardly do. So the standard error is that of the windows' means,
    carried over to exp(mean) by its derivative (delta method). It is None for one window, which has no spread.
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
    """The standard error of the mean of windows' means; None for one window."""
    return float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else None
