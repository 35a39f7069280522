"""Samplers draw from the distributions that they promise."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from autocomplete.graph import sampler
from autocomplete.graph.sampler import Sampler, choose, draws

LOGITS = np.log(np.array([0.5, 0.25, 0.15, 0.07, 0.03], np.float32))
DRAWS = 4000


def chosen(logits: np.ndarray, rule: Sampler, draw: tf.Tensor) -> int:
    return int(choose(tf.constant(logits[np.newaxis]), rule, draw[tf.newaxis])[0])


def sampled(rule: Sampler) -> Counter[int]:
    @tf.function(autograph=False)
    def once(draw: tf.Tensor) -> tf.Tensor:
        return choose(tf.constant(LOGITS[np.newaxis]), rule, draw[tf.newaxis])[0]

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


@pytest.mark.parametrize("name", ["greedy", "top_k", "top_p", "temperature"])
@pytest.mark.parametrize("suppressed", [[0], [0, 1, 4], [4]])
def test_the_other_tokens_share_the_weight_of_suppressed_ones(name: str, suppressed: list[int]) -> None:
    allowed = [i for i in range(5) if i not in suppressed]
    plain, suppressing = Sampler(name, 2, 0.8, 1.0, None), Sampler(name, 2, 0.8, 1.0, None, suppressed)
    for draw in tf.linspace(0.0, 0.999, 50):
        expected = allowed[chosen(LOGITS[allowed], plain, draw)]
        assert chosen(LOGITS, suppressing, draw) == expected


@pytest.mark.parametrize("draw", [0.0, 2.0**-24, 1.0 - 2**-24, 1.0])
@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e3])
def test_no_draw_is_a_suppressed_token(draw: float, temperature: float) -> None:
    row = tf.constant(LOGITS[np.newaxis])
    for suppressed in ([0, 1], [2], [3, 4], [0, 4]):
        rule = Sampler("temperature", 1, 1.0, temperature, None, suppressed)
        inputs = sampler.SamplerInputs(tf.constant(temperature), tf.constant(0), tf.constant(1.0), suppressed)
        assert chosen(LOGITS, rule, tf.constant(draw)) not in suppressed
        assert int(sampler.choose_by_inputs(row, inputs, tf.constant([draw]))[0]) not in suppressed


def test_where_nothing_is_suppressed_nothing_is_added() -> None:
    logits = tf.constant(LOGITS)
    assert sampler.suppress(logits, []) is logits


@pytest.mark.parametrize("draw", [0.0, 0.4999, 0.5001, 1.0 - 2**-24, 1.0])
def test_any_draw_is_a_token_with_weight(draw: float) -> None:
    rule = Sampler("top_p", 1, 0.6, 1.0, None)
    assert chosen(LOGITS, rule, tf.constant(draw, tf.float32)) in ((0,) if draw < 0.5 else (0, 1))


@pytest.mark.parametrize("size", [3, 64, 65, 5000, 50257])
def test_the_largest_of_each_row_are_those_of_a_whole_sort(size: int) -> None:
    logits = np.random.default_rng(size).normal(size=(3, size)).astype(np.float32)
    values, ids = sampler.largest(tf.constant(logits), 40)
    expected = np.argsort(-logits, kind="stable")[:, :40]
    assert ids.numpy().tolist() == expected.tolist()
    assert values.numpy().tolist() == np.take_along_axis(logits, expected, 1).tolist()


def test_the_first_of_equals_is_the_greedy_token() -> None:
    logits = np.zeros(5000, np.float32)
    logits[[70, 71, 4000]] = 1.0
    rule = sampler.SamplerInputs(*(tf.constant(v) for v in (0.0, 0, 1.0)))
    assert int(sampler.choose_by_inputs(tf.constant([logits]), rule, tf.constant([0.99]))[0]) == 70 == logits.argmax()


def test_each_row_is_chosen_from_by_its_own_draw() -> None:
    logits = tf.constant(np.random.default_rng(3).normal(size=(4, 5000)), tf.float32)
    rule = sampler.SamplerInputs(*(tf.constant(v) for v in (0.7, 5, 0.9)))
    uniform = tf.constant([0.1, 0.9, 0.5, 0.0])
    rows = [sampler.choose_by_inputs(logits[i : i + 1], rule, uniform[i : i + 1])[0] for i in range(4)]
    assert sampler.choose_by_inputs(logits, rule, uniform).numpy().tolist() == [int(r) for r in rows]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ((0.0, 0, 1.0), [1.0]),
        ((1.0, 0, 1.0), [0.5, 0.25, 0.15, 0.07, 0.03]),
        ((1.0, 2, 1.0), [0.5 / 0.75, 0.25 / 0.75]),
        ((1.0, 0, 0.8), [0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9]),
        ((1.0, 2, 0.4), [1.0]),
    ],
)
def test_frequencies_by_inputs(settings: tuple[float, int, float], expected: list[float]) -> None:
    rule = sampler.SamplerInputs(*(tf.constant(v) for v in settings))

    @tf.function(autograph=False)
    def once(draw: tf.Tensor) -> tf.Tensor:
        return sampler.choose_by_inputs(tf.constant(LOGITS[np.newaxis]), rule, draw[tf.newaxis])[0]

    uniform = sampler.hashed_draws(tf.constant(7), DRAWS)
    counts = Counter(tf.map_fn(once, uniform, fn_output_signature=tf.int32).numpy().tolist())
    assert set(counts) == set(range(len(expected)))
    for token, share in enumerate(expected):
        assert counts[token] / DRAWS == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / DRAWS) + 1e-9)


def test_hashed_numbers_are_uniform_and_independent() -> None:
    numbers = np.stack([sampler.hashed_draws(tf.constant(seed), 128).numpy() for seed in [*range(600), -5, 2**31 - 1]])
    assert numbers.min() >= 0 and numbers.max() < 1
    pairs = {"steps": (numbers[:, :-1], numbers[:, 1:]), "seeds": (numbers[:-1], numbers[1:])}
    for name, (first, second) in pairs.items():
        counts = np.histogram2d(first.ravel(), second.ravel(), 16, ((0, 1), (0, 1)))[0].ravel()
        chi = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
        # mean 255, deviation sqrt(2 · 255) = 22.6 for independent uniform numbers
        assert 255 - 5 * 22.6 < chi < 255 + 5 * 22.6, name
