"""JSON that comes from elsewhere, held against its schema."""

import json
from pathlib import Path
from typing import Any

import jsonschema

from autocomplete.common.errors import UserError

_MOST_SAID = 300  # characters of a validator's message, which may quote the whole file


def check(name: str, schema: Path, value: Any) -> None:
    """Raises UserError with the first place where a value, called by its file's name, does not follow a schema."""
    for error in jsonschema.Draft202012Validator(json.loads(schema.read_bytes())).iter_errors(value):
        said = " ".join(error.message.split())
        raise UserError(f"{name}: {error.json_path}: {said[:_MOST_SAID]}")
