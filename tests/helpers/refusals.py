"""Folders that are refused in one line."""

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
Refused = dict[str, tuple[Change, str]]  # what is done, and what is said of the file


def mixed(*values: Any) -> tuple[Any, ...]:
    """Values of several types, which JSON may have in one place."""
    return values


def refusal(place: Path) -> str:
    """The line with which a folder is refused, which every terminal can show."""
    with pytest.raises(UserError) as found:
        loading.load(place)
    text = str(found.value)
    assert text.isprintable()
    assert len(text.replace(str(place), "")) < 800
    return text


def assert_refused(folder: Path, change: Change, told: str) -> None:
    """Changes a folder; the refusal then begins with the folder's name and `told`, a regular expression."""
    change(folder)
    text = refusal(folder)
    assert re.match(re.escape(str(folder)) + told, text), text
