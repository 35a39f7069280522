"""Metrics on logits whose results are known."""

import math

import numpy as np
import pytest

from autocomplete.common.arrays import Array
from autocomplete.evaluate import perplexity
from autocomplete.runtime import logits


def scored(model: Array, reference: Array, targets: Array) -> perplexity.Scores:
    return perplexity.score(logits.log_softmax(model), logits.log_softmax(reference), targets)


def test_uniform_logits_have_the_vocabulary_as_perplexity() -> None:
    targets = np.array([3, 1, 4, 1, 5])
    window = scored(np.zeros((5, 8)), np.zeros((5, 8)), targets)
    metrics = perplexity.summarize([window, window], text_bytes=10)
    assert metrics["perplexity"] == pytest.approx(8)
    assert metrics["perplexity_stderr"] == pytest.approx(0)
    assert metrics["perplexity_ratio"] == pytest.approx(1)
    assert metrics["bits_per_byte"] == pytest.approx(10 * 3 / 10)
    assert metrics["kl_divergence"] == pytest.approx(0)
    assert metrics["top1_agreement"] == 1


def test_kl_divergence_of_two_known_distributions() -> None:
    reference, model = np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])
    scores = scored(np.log(model), np.log(reference), np.array([0]))
    assert scores.divergences[0] == pytest.approx(0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1))
    assert scores.losses[0] == pytest.approx(-math.log(0.9))
    assert scores.reference_losses[0] == pytest.approx(-math.log(0.5))


def test_agreement_counts_the_likeliest_token() -> None:
    scores = scored(np.array([[2.0, 1.0], [0.0, 5.0]]), np.array([[1.0, 0.0], [3.0, 2.0]]), np.array([0, 0]))
    assert scores.agreements.tolist() == [True, False]


def test_the_ratio_is_paired_and_its_error_smaller_than_the_perplexity_s() -> None:
    random = np.random.default_rng(0)
    windows = []
    for scale in random.uniform(0.5, 3.0, 20):
        reference = random.normal(0, scale, (50, 30))
        windows.append(scored(reference * 0.98, reference, random.integers(0, 30, 50)))
    metrics = perplexity.summarize(windows, 1000)
    ratio, absolute, value = (metrics[n] for n in ("perplexity_ratio_stderr", "perplexity_stderr", "perplexity"))
    assert ratio is not None and absolute is not None and value is not None
    assert ratio < absolute / value / 3


def test_extreme_logits_do_not_overflow() -> None:
    scores = scored(np.array([[1e4, -1e4]], np.float32), np.array([[1e4, -1e4]], np.float32), np.array([0]))
    assert scores.losses[0] == 0
    assert np.isfinite(scores.divergences[0])
