"""The published contract of manifest.json."""

import json
from pathlib import Path

import pytest

from autocomplete.bundle import contract, manifest
from autocomplete.bundle.contract import Manifest
from autocomplete.common.errors import UserError


def test_the_published_schema_is_the_record_s_schema() -> None:
    """`python -m autocomplete.bundle.contract` prints the schema; CONTRIBUTING.md says when to run it."""
    assert manifest.SCHEMA.read_bytes() == contract.schema()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["schema_version"], 2, r"\$\.schema_version"),
        (["lengths", "sequence_length"], 0, r"\$\.lengths\.sequence_length"),
        (["files", "../evil"], {"sha256": "0" * 64, "bytes": 1}, r"\$\.files"),
        (["colour"], "red", r"\$: no property 'colour'"),
        (["metrics", "speed"], 1.0, "no metric 'speed'"),
        (["model", "end_token_id"], None, r"\$\.model\.end_token_id"),
    ],
)
def test_an_invalid_manifest_is_refused_with_the_path_of_the_error(
    toy_bundle: Path, path: list[str], value: object, message: str
) -> None:
    content = json.loads((toy_bundle / contract.FILE).read_bytes())
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    with pytest.raises(UserError, match=message):
        Manifest.parse(content, "manifest.json")
