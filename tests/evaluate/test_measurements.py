"""Parts of a mode's measurements: pieces of similar size, and their combined results."""

import numpy as np
import pytest

from autocomplete.common.processes import Result
from autocomplete.evaluate import measurements


@pytest.mark.parametrize(("count", "sizes"), [(60, [15] * 4), (9, [2, 2, 2, 3]), (3, [1, 1, 1]), (1, [1])])
def test_pieces_are_of_similar_size_and_lose_nothing(count: int, sizes: list[int]) -> None:
    pieces = measurements._pieces(np.arange(count), 4)
    assert [len(piece) for piece in pieces] == sizes
    assert np.array_equal(np.concatenate(pieces), np.arange(count))


def test_pieces_add_up() -> None:
    results = {"quality 0": Result([1], 1.5), "quality 1": Result([2], 2.0), "core greedy": Result({}, 0.5)}
    assert measurements._seconds(results) == {"quality": 3.5, "core greedy": 0.5}
    assert measurements._joined({name: r.value for name, r in results.items()}, "quality") == [1, 2]
