"""Assertions that a folder is refused with one line."""

import re
from pathlib import Path
from typing import Any

import pytest

from autocomplete.common.errors import UserError
from autocomplete.presets import loading
from helpers.folder_changes import Change

NUMBERS = {
    "NaN": float("nan"),
    "infinite": float("inf"),
    "negative": -1,
    "zero": 0,
    "text": "7",
    "true": True,
    "list": [7],
}
NESTED, LINES, HUGE = "[" * 100_000, "words\n" * 1000, 10**12
Refused = dict[str, tuple[Change, str]]  # the change, and the message about the file


def mixed(*values: Any) -> tuple[Any, ...]:
    """Values of several types, which JSON may have in one place."""
    return values


def refusal(folder: Path) -> str:
    """The message with which a folder is refused: one printable line."""
    with pytest.raises(UserError) as error:
        loading.load(folder)
    text = str(error.value)
    assert text.isprintable()
    assert len(text.replace(str(folder), "")) < 800
    return text


def assert_refused(folder: Path, change: Change, message: str) -> None:
    """Changes a folder, and asserts that the refusal is its path followed by `message`, a regular expression."""
    change(folder)
    text = refusal(folder)
    assert re.match(re.escape(str(folder)) + message, text), text
