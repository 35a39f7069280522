"""index.json, and the releases of a mode in it."""

import json
from typing import Any

import pytest

from autocomplete.common.errors import UserError
from autocomplete.release import releases


def bundle(path: str = "1.0.0/float32") -> dict[str, str]:
    return {"path": path, "sha256sums": "0" * 64}


def index(**changes: Any) -> bytes:
    versions = {
        "1.0.0": {"revision": "a", "modes": {"float32": bundle(), "int8": bundle()}},
        "1.1.0": {"revision": "b", "modes": {"float32": bundle()}},
    }
    stages = {"prod": {"float32": "1.0.0", "int8": "1.0.0"}, "staging": {"float32": "1.1.0"}}
    content = {"schema_version": 1, "name": "autocomplete", "stages": stages, "versions": versions}
    return json.dumps(content | changes).encode()


def test_an_index_offers_the_versions_and_stages_of_a_mode() -> None:
    int8 = releases.available(releases.parse(index(), "index.json"), "int8", "here")
    assert (int8.versions, int8.stages, int8.modes) == (
        ["1.0.0"],
        {"prod": "1.0.0"},
        ["float32", "int8"],
    )
    int4 = releases.available(releases.parse(index(), "index.json"), "int4", "here")
    assert (int4.versions, int4.stages) == ([], {})


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_an_index_that_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(UserError, match=r"^there/index\.json is no JSON: not the index of releases; check the address"):
        releases.parse(content, "there/index.json")


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"schema_version": 2}, r"\$\.schema_version"),
        ({"name": "another"}, r"\$\.name"),
        ({"versions": {"1.0.0": {"revision": "a", "modes": {"float32": bundle("../evil")}}}}, r"\.float32\.path"),
        ({"versions": {"1.0.0": {"revision": "a", "modes": {"float32": bundle("/etc")}}}}, r"\.float32\.path"),
        ({"versions": None}, r"\$\.versions"),
    ],
)
def test_an_invalid_index_is_refused(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(UserError, match=f"^index: .*{place}"):
        releases.parse(index(**changes), "index")
