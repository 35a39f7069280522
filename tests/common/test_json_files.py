"""JSON from other programs, and its values in messages."""

import math
from pathlib import Path
from typing import Any

import pytest

from autocomplete.common import json_files
from autocomplete.common.errors import UserError


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_no_mistake(mark: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(mark + '{"a": "é"}'.encode())
    assert json_files.read_object(path) == {"a": "é"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no JSON in UTF-8"),
        (b"{", "is no JSON in UTF-8"),
        (b'{"a": "\xff"}', "is no JSON in UTF-8"),
        (b"[" * 100_000, r"is no JSON in UTF-8 \(.*recursion"),
        (b"[1]", r"holds no JSON object, but \[1\]"),
        (b"null", "holds no JSON object, but None"),
    ],
)
def test_a_file_without_an_object_is_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as refused:
        json_files.read_object(path)
    assert "\n" not in str(refused.value)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


SHOWN = {
    "a long text": "x" * 1000,
    "a long list": list(range(1000)),
    "a number of many digits": 10**10_000,
    "many brackets": nested(10_000),
    "two lines": "a\nb",
    "null": None,
    "a number": 1.5,
}


@pytest.mark.parametrize("value", SHOWN.values(), ids=SHOWN)
def test_any_value_is_shown_in_one_short_line(value: Any) -> None:
    text = json_files.shown(value)
    assert len(text) <= 80
    assert text.isprintable()


def test_words_need_no_quotes() -> None:
    assert json_files.plain("rope_theta") == "rope_theta"
    assert json_files.plain("") == "''"
    assert json_files.plain("a\nb") == r"'a\nb'"


def test_foreign_text_becomes_one_line() -> None:
    assert json_files.one_line("  a\n b\x1b[31m\ud800 é ", 80) == r"a b\x1b[31m\ud800 é"
    assert json_files.one_line(ValueError("x" * 99), 10) == "x" * 10


@pytest.mark.parametrize("value", [1, 0.5, 1e-30, 1e30])
def test_numbers_above_zero_are_taken(value: float) -> None:
    assert json_files.above_zero(value, "key", "here") == value


@pytest.mark.parametrize("value", [0, -1, True, "1", None, [1], math.nan, math.inf, 1e-31, 10**40])
def test_other_values_are_refused_by_place_and_key(value: Any) -> None:
    with pytest.raises(UserError, match=r"^here: key is .*; allowed: a number above 0$"):
        json_files.above_zero(value, "key", "here")
