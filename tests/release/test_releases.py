"""index.json, and what it offers of a mode."""

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
    known = {"schema_version": 1, "name": "autocomplete", "stages": stages, "versions": versions}
    return json.dumps(known | changes).encode()


def test_an_index_offers_the_versions_and_stages_of_a_mode() -> None:
    of_int8 = releases.available(releases.parse(index(), "index.json"), "int8", "here")
    assert (of_int8.versions, of_int8.stages, of_int8.modes) == (
        ["1.0.0"],
        {"prod": "1.0.0"},
        ["float32", "int8"],
    )
    none = releases.available(releases.parse(index(), "index.json"), "int4", "here")
    assert (none.versions, none.stages) == ([], {})


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_no_index(content: bytes) -> None:
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
def test_an_index_that_says_something_else_is_refused(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(UserError, match=f"^index: .*{place}"):
        releases.parse(index(**changes), "index")
