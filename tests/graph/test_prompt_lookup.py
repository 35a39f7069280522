"""Guesses are the tokens that followed an earlier occurrence of the last two tokens."""

import numpy as np
import pytest
import tensorflow as tf

from autocomplete.graph import prompt_lookup

PADDING = [9, 9, 9, 9, 9, 9]


@pytest.mark.parametrize(
    ("context", "guesses"),
    [
        ([1, 2, 3, 4, 5, 1, 2], [3, 4, 5, 1]),
        ([1, 2, 3, 1, 2, 4, 1, 2], [4, 1, 2, 4]),  # the last occurrence counts, and is repeated
        ([1, 7, 7, 7], [7, 7, 7, 7]),
        ([7, 7, 7], [7, 7, 7, 7]),
        ([1, 2, 1, 2], [1, 2, 1, 2]),
        ([1, 2, 3], None),
        ([2, 2], None),  # the pair itself is no earlier occurrence
        ([5], None),
        ([9, 1, 9, 9], None),  # padding behind the context is no text
    ],
)
def test_guesses(context: list[int], guesses: list[int] | None) -> None:
    ids, has_guesses = prompt_lookup.draft(tf.constant(context + PADDING), tf.constant(len(context)), 4)
    assert bool(has_guesses) == (guesses is not None)
    assert ids.numpy().tolist() == [*context, *(guesses or PADDING[:4]), *PADDING[4:]]


def test_random_texts_equal_plain_python() -> None:
    random = np.random.default_rng(1)
    for _ in range(300):
        context = random.integers(0, 4, random.integers(1, 12)).tolist()
        ids, has_guesses = prompt_lookup.draft(tf.constant(context + PADDING), tf.constant(len(context)), 4)
        starts = [i + 2 for i in range(len(context) - 2) if context[i : i + 2] == context[-2:]]
        assert bool(has_guesses) == bool(starts)
        expected = [context[starts[-1] + i % (len(context) - starts[-1])] for i in range(4)] if starts else PADDING[:4]
        assert ids.numpy().tolist() == [*context, *expected, *PADDING[4:]]


@pytest.mark.parametrize(
    ("guesses", "tokens", "accepted"),
    [
        ([3, 4, 5], [3, 4, 5, 6], [3, 4, 5, 6]),  # all are right, and one more token is added
        ([3, 4, 5], [3, 7, 5, 6], [3, 7]),  # the first wrong one is corrected
        ([3, 4, 5], [8, 4, 5, 6], [8]),
        ([3, 0, 5], [3, 0, 5, 6], [3, 0]),  # the end of the text
        ([3, 4, 5], [3, 4, 0, 6], [3, 4, 0]),
        ([3, 4, 5], [3, 4, 5, 0], [3, 4, 5, 0]),
        ([], [3], [3]),
        ([], [0], [0]),
    ],
)
def test_guesses_are_accepted_up_to_the_first_wrong_one(
    guesses: list[int], tokens: list[int], accepted: list[int]
) -> None:
    context = [1, 2]
    ids, after = prompt_lookup.accept(
        tf.constant(tokens), tf.constant(context + guesses + PADDING), tf.constant(2), (0,)
    )
    assert ids.numpy().tolist()[: int(after)] == context + accepted
