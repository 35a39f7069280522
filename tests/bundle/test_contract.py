"""The published contract of manifest.json."""

import json
from pathlib import Path

import pytest

from autocomplete.bundle import contract, manifest
from autocomplete.bundle.contract import Manifest
from autocomplete.common.errors import UserError


def test_the_published_schema_is_that_of_the_record() -> None:
    """`python -m autocomplete.bundle.contract` prints it; CONTRIBUTING.md says when."""
    assert manifest.SCHEMA.read_bytes() == contract.schema()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["schema_version"], 2, r"\$\.schema_version"),
        (["lengths", "sequence_length"], 0, r"\$\.lengths\.sequence_length"),
        (["files", "../evil"], {"sha256": "0" * 64, "bytes": 1}, r"\$\.files"),
        (["colour"], "red", r"\$: no property 'colour'"),
        (["metrics", "speed"], 1.0, "no metric 'speed'"),
        (["model", "end_token_id"], None, r"\$\.model\.end_token_id"),
    ],
)
def test_what_is_no_manifest_is_refused_by_place(
    toy_bundle: Path, place: list[str], value: object, message: str
) -> None:
    content = json.loads((toy_bundle / contract.FILE).read_bytes())
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(UserError, match=message):
        Manifest.parse(content, "manifest.json")
