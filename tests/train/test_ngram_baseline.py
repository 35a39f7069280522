"""The n-gram baseline: probabilities sum to one, and equal those of a computation by hand."""

import numpy as np
import pytest

from autocomplete.train import ngram_baseline


def test_probabilities_of_all_continuations_sum_to_one() -> None:
    random = np.random.default_rng(0)
    train = random.choice(7, 400, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05]).astype(np.int32)
    for context in ([0, 1, 2, 0], [6, 6, 6, 6], [3, 0, 0, 1]):
        rows = [np.array([*context, last], np.int32) for last in range(7)]
        total = sum(ngram_baseline.probabilities(train, row, 7, order=4)[-1] for row in rows)
        assert total == pytest.approx(1.0, abs=1e-3)  # each end of the stream has one neighbour less


def test_bigrams_by_hand() -> None:
    train = np.array([0, 1, 0, 1, 0, 2, 0, 1], np.int32)  # 01 thrice, 10 twice, 02 and 20 once
    # of bigrams 2 occur once and 1 twice: discount 2 / (2 + 2 · 1) = 1/2; after 0 come 4, of two kinds
    # left neighbours: 0 has {1, 2}, 1 has {0}, 2 has {0}; of tokens 2 have one, 1 has two: discount 1/2
    unigram = (1 - 0.5 + 0.5 * 3 / 3) / 4
    expected = (3 - 0.5 + 0.5 * 2 * unigram) / 4
    assert ngram_baseline.probabilities(train, np.array([0, 1], np.int32), 3, order=2)[0] == pytest.approx(expected)


def test_seen_sequences_cost_less_and_bytes_share_the_bits_of_a_token() -> None:
    random = np.random.default_rng(1)
    train = ((np.arange(3000) + (random.random(3000) < 0.05) * random.integers(0, 5, 3000)) % 5).astype(np.int32)
    seen_ids, unseen_ids = np.arange(10, dtype=np.int32) % 5, np.array([0, 3, 1, 4, 2] * 2, np.int32)
    bits_per_byte = ngram_baseline.bits_per_byte(train, seen_ids, [1] * 5)
    assert bits_per_byte < 0.5
    assert ngram_baseline.bits_per_byte(train, unseen_ids, [1] * 5) > 2
    assert ngram_baseline.bits_per_byte(train, seen_ids, [2] * 5) == bits_per_byte / 2
