"""Elements that move to other places of a vector."""

import pytest
import tensorflow as tf

from autocomplete.graph import utf8

X = tf.constant([1, 2, 3, 4])


@pytest.mark.parametrize(("by", "expected"), [(1, [9, 1, 2, 3]), (3, [9, 9, 9, 1]), (-1, [2, 3, 4, 9]), (4, [9] * 4)])
def test_a_shift_fills_the_edge(by: int, expected: list[int]) -> None:
    assert utf8.shift(X, by, 9).numpy().tolist() == expected


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ([True, False, True, True], [1, 3, 4, 0]),
        ([False, False, False, False], [0, 0, 0, 0]),
        ([True] * 4, [1, 2, 3, 4]),
        ([False, False, False, True], [4, 0, 0, 0]),
    ],
)
def test_kept_elements_move_together(mask: list[bool], expected: list[int]) -> None:
    assert utf8.scatter(X, utf8.compacted_places(tf.constant(mask))).numpy().tolist() == expected


def test_elements_with_one_place_are_added_and_others_are_left_out() -> None:
    places = tf.constant([[0], [0], [2], [3]])
    assert utf8.scatter(X, places, 3).numpy().tolist() == [3, 0, 3]


def test_a_flag_holds_for_all_bytes_of_its_character() -> None:
    text = tf.constant([*"aé日👍".encode()])
    lead = utf8.characters(text).lead
    flags = tf.constant([byte in (0xC3, 0xF0) for byte in "aé日👍".encode()])
    expected = [False, True, True, False, False, False, True, True, True, True]
    assert utf8.over_characters(flags, lead).numpy().tolist() == expected
