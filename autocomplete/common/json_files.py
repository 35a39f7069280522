"""Reading JSON files of other projects, and showing their values in messages."""

import json
from pathlib import Path
from typing import Any, TypeAlias

from autocomplete.common.errors import UserError

# A JSON object without a record: its keys are another project's (config.json, tokenizer.json, GGUF's metadata), or the
# caller checks them. Whoever reads a key checks its value.
JsonObject: TypeAlias = dict[str, Any]

_LONGEST = 80  # characters of a value in a message
_SMALLEST, _LARGEST = 1e-30, 1e30  # above 0; float32 holds them


def read_object(path: Path) -> JsonObject:
    """A JSON object in UTF-8, with or without a byte order mark; raises UserError where it is none."""
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON in UTF-8 ({one_line(error, _LONGEST)}); download it again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object, but {shown(content)}; download it again")
    return content


def shown(value: Any) -> str:
    """A value in one short line, whatever it is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of too many digits, too many brackets
        return f"a {type(value).__name__} too long to be shown"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} …"


def one_line(value: object, most: int) -> str:
    """What others wrote, such as a name or an error, in one printable line of at most `most` of its characters."""
    text = " ".join(str(value).split())[:most]
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def plain(text: str) -> str:
    """A text without quotes where it is a word or a name, else as `shown` writes it."""
    return text if text.isprintable() and 0 < len(text) <= _LONGEST else shown(text)


def above_zero(value: Any, key: str, place: str) -> float:
    """A number above 0, as it is; raises UserError for anything else."""
    if type(value) not in (int, float) or not _SMALLEST <= value <= _LARGEST:
        raise UserError(f"{place}: {key} is {shown(value)}; allowed: a number above 0")
    number: float = value
    return number
