"""Samplers draw what they say they draw."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from stages.lm.sampler import Sampler, choose

LOGITS = np.log(np.array([0.5, 0.25, 0.15, 0.07, 0.03], np.float32))
DRAWS = 4000


def draws(rule: Sampler) -> Counter[int]:
    @tf.function(autograph=False)
    def once(_: tf.Tensor) -> tf.Tensor:
        return choose(tf.constant(LOGITS), rule)

    return Counter(tf.map_fn(once, tf.zeros(DRAWS), fn_output_signature=tf.int32).numpy().tolist())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("greedy", [1.0]),
        ("top_k", [0.5 / 0.75, 0.25 / 0.75]),
        ("top_p", [0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9]),
        ("temperature", [0.5, 0.25, 0.15, 0.07, 0.03]),
    ],
)
def test_frequencies(name: str, expected: list[float]) -> None:
    counts = draws(Sampler(name, top_k=2, top_p=0.8, temperature=1.0, seed=3))
    assert set(counts) == set(range(len(expected)))
    for token, share in enumerate(expected):
        # five standard deviations of a binomial share
        assert counts[token] / DRAWS == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / DRAWS) + 1e-9)


def test_a_low_temperature_sharpens() -> None:
    counts = draws(Sampler("temperature", 1, 1.0, temperature=0.5, seed=3))
    assert counts[0] / DRAWS == pytest.approx(0.25 / (0.25 + 0.0625 + 0.0225 + 0.0049 + 0.0009), abs=0.05)


def test_top_k_beyond_the_vocabulary_is_all_of_it() -> None:
    assert set(draws(Sampler("top_k", 50, 1.0, 1.0, seed=3))) == set(range(5))
