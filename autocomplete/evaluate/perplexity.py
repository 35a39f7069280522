"""Quality of cores against the float32 core, from logits: perplexity, KL divergence, top-1 agreement."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.metrics import MetricValues
from autocomplete.common.processes import pool
from autocomplete.common.progress import progress_bar
from autocomplete.evaluate.mode_files import ModeFiles
from autocomplete.runtime import compiled
from autocomplete.runtime.logits import log_softmax, scored


@dataclass(frozen=True)
class Scores:
    """A window's scores of a core against the reference, each `[n]` over its tokens; losses and divergences in nats."""

    losses: Array
    reference_losses: Array
    divergences: Array
    agreements: Array


def measure(mode: ModeFiles, windows: Array, processes: int) -> MetricValues:
    """The metrics of the shipped core over windows of ids `[n, slots]`, and the ratio of the text model's core.

    The metrics of the text model are None for a mode without one.
    """
    text_core = mode.text_core
    if text_core is not None and not mode.recipe.text_recipe:
        text_core = mode.core  # without a recipe of its own it is the shipped core
    cores = list(dict.fromkeys([mode.converted / "core.tflite", mode.core, text_core or mode.core]))
    by_core = dict(zip(cores, scores(cores, windows, processes), strict=True))
    token_lengths = np.array([len(b) for b in mode.token_bytes])
    text_bytes = int(token_lengths[windows[:, 1:]].sum())
    of_text = {} if text_core is None else summarize(by_core[text_core], text_bytes)
    text_metrics = ("perplexity_ratio", "perplexity_ratio_stderr")
    return summarize(by_core[mode.core], text_bytes) | {f"text_{m}": of_text.get(m) for m in text_metrics}


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


_sessions: list[compiled.CompiledSession] = []  # of a worker process, one for each core


def scores(cores: Sequence[Path], windows: Array, processes: int) -> list[list[Scores]]:
    """For each core its scores over each of the windows `[n, slots]`; the first core is the reference."""
    by_window: list[list[Scores]] = []
    with progress_bar("quality", len(windows)) as show, pool(processes, _load, (list(cores),)) as workers:
        for window_scores in workers.map(_score, windows):
            by_window.append(window_scores)
            show(len(by_window), "windows")
    return [list(by_core) for by_core in zip(*by_window, strict=True)]


def _load(cores: Sequence[Path]) -> None:
    _sessions.extend(compiled.CompiledSession(compiled.load(core, threads=1)) for core in cores)


def _score(window: Array) -> list[Scores]:
    predictions = [log_softmax(scored(session, window[:-1])) for session in _sessions]
    return [score(p, predictions[0], window[1:]) for p in predictions]
