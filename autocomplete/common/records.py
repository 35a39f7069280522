"""The base class of typed records: frozen, checked when they are read, written as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from autocomplete.common.errors import UserError
from autocomplete.common.files import write_json

Count = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]
TokenId = NonNegative
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1)]
# A path that cannot leave a bundle's folder.
Inside = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*$")]
TfliteFile = Annotated[str, Field(pattern=r"^[a-z_]+\.tflite$")]

_MAX_CHARACTERS = 300  # of a value in a message: it may be the whole file


def _describe(error: ErrorDetails) -> str:
    """Where a value is wrong and why, in one line."""
    *above, key = error["loc"] or ("",)
    value = repr(error["input"])[:_MAX_CHARACTERS]
    if error["type"] == "missing":
        return f"{_json_path(above)}: {key!r} is a required property"
    if error["type"] == "extra_forbidden":
        return f"{_json_path(above)}: no property {key!r} is known"
    if error["type"] == "string_pattern_mismatch":
        return f"{_json_path(error['loc'])}: {value} does not match {error['ctx']['pattern']!r}"
    if error["type"] == "string_type":
        return f"{_json_path(error['loc'])}: {value} is not of type 'string'"
    return f"{_json_path(error['loc'])}: {value}: {error['msg'][:_MAX_CHARACTERS]}"


def _json_path(keys: Sequence[str | int]) -> str:
    """A place in JSON: `$.files.core`."""
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys if key != "")


class Record(BaseModel):
    """A record that cannot change and has no keys but those of its class."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, content: Any, place: str) -> Self:
        """A record from decoded JSON; raises UserError, naming the first wrong key, if it has another form."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise UserError(f"{place}: {_describe(first)}") from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record of a JSON file; raises UserError if the file is missing or has another form."""
        try:
            content = json.loads(path.read_bytes())
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}): run `dvc repro`") from None
        except ValueError:
            raise UserError(f"{path} is no JSON: run `dvc repro`") from None
        return cls.parse(content, str(path))

    def write(self, path: Path) -> None:
        """Writes the record as JSON, keys in the order of the class."""
        write_json(path, self.model_dump(mode="json"))
