"""Guesses are what stood behind the same two tokens before."""

import numpy as np
import pytest
import tensorflow as tf

from autocomplete.graph import prompt_lookup

REST = [9, 9, 9, 9, 9, 9]


@pytest.mark.parametrize(
    ("known", "guesses"),
    [
        ([1, 2, 3, 4, 5, 1, 2], [3, 4, 5, 1]),
        ([1, 2, 3, 1, 2, 4, 1, 2], [4, 1, 2, 4]),  # the last place counts, and goes round
        ([1, 7, 7, 7], [7, 7, 7, 7]),
        ([7, 7, 7], [7, 7, 7, 7]),
        ([1, 2, 1, 2], [1, 2, 1, 2]),
        ([1, 2, 3], None),
        ([2, 2], None),  # the pair itself is no place before
        ([5], None),
        ([9, 1, 9, 9], None),  # what lies behind the known tokens is nothing that was said
    ],
)
def test_guesses(known: list[int], guesses: list[int] | None) -> None:
    ids, found = prompt_lookup.draft(tf.constant(known + REST), tf.constant(len(known)), 4)
    assert bool(found) == (guesses is not None)
    assert ids.numpy().tolist() == [*known, *(guesses or REST[:4]), *REST[4:]]


def test_random_texts_as_python_would() -> None:
    random = np.random.default_rng(1)
    for _ in range(300):
        known = random.integers(0, 4, random.integers(1, 12)).tolist()
        ids, found = prompt_lookup.draft(tf.constant(known + REST), tf.constant(len(known)), 4)
        starts = [i + 2 for i in range(len(known) - 2) if known[i : i + 2] == known[-2:]]
        assert bool(found) == bool(starts)
        expected = [known[starts[-1] + i % (len(known) - starts[-1])] for i in range(4)] if starts else REST[:4]
        assert ids.numpy().tolist() == [*known, *expected, *REST[4:]]


@pytest.mark.parametrize(
    ("guesses", "tokens", "kept"),
    [
        ([3, 4, 5], [3, 4, 5, 6], [3, 4, 5, 6]),  # all hold, and one more is said
        ([3, 4, 5], [3, 7, 5, 6], [3, 7]),  # the first that does not is put right
        ([3, 4, 5], [8, 4, 5, 6], [8]),
        ([3, 0, 5], [3, 0, 5, 6], [3, 0]),  # the end of the text
        ([3, 4, 5], [3, 4, 0, 6], [3, 4, 0]),
        ([3, 4, 5], [3, 4, 5, 0], [3, 4, 5, 0]),
        ([], [3], [3]),
        ([], [0], [0]),
    ],
)
def test_guesses_count_as_far_as_they_held(guesses: list[int], tokens: list[int], kept: list[int]) -> None:
    known = [1, 2]
    ids, after = prompt_lookup.accept(tf.constant(tokens), tf.constant(known + guesses + REST), tf.constant(2), (0,))
    assert ids.numpy().tolist()[: int(after)] == known + kept
