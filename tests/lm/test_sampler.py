"""Samplers draw what they say they draw."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from stages.lm.sampler import Sampler, choose, draws

LOGITS = np.log(np.array([0.5, 0.25, 0.15, 0.07, 0.03], np.float32))
DRAWS = 4000


def sampled(rule: Sampler) -> Counter[int]:
    @tf.function(autograph=False)
    def once(draw: tf.Tensor) -> tf.Tensor:
        return choose(tf.constant(LOGITS), rule, draw)

    uniform = draws(DRAWS, rule.seed)
    return Counter(tf.map_fn(once, uniform, fn_output_signature=tf.int32).numpy().tolist())


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
    counts = sampled(Sampler(name, top_k=2, top_p=0.8, temperature=1.0, seed=3))
    assert set(counts) == set(range(len(expected)))
    for token, share in enumerate(expected):
        # five standard deviations of a binomial share
        assert counts[token] / DRAWS == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / DRAWS) + 1e-9)


def test_a_low_temperature_sharpens() -> None:
    counts = sampled(Sampler("temperature", 1, 1.0, temperature=0.5, seed=3))
    assert counts[0] / DRAWS == pytest.approx(0.25 / (0.25 + 0.0625 + 0.0225 + 0.0049 + 0.0009), abs=0.05)


def test_top_k_beyond_the_vocabulary_is_all_of_it() -> None:
    assert set(sampled(Sampler("top_k", 50, 1.0, 1.0, seed=3))) == set(range(5))


@pytest.mark.parametrize("draw", [0.0, 0.4999, 0.5001, 1.0 - 2**-24, 1.0])
def test_any_draw_is_a_token_with_weight(draw: float) -> None:
    rule = Sampler("top_p", 1, 0.6, 1.0, None)
    assert int(choose(tf.constant(LOGITS), rule, tf.constant(draw, tf.float32))) in ((0,) if draw < 0.5 else (0, 1))
