"""The record of a version, and the index of versions."""

from pathlib import Path

import pytest

from autocomplete.common.errors import UserError
from autocomplete.release import record
from autocomplete.release.releases import ReleasedBundle

BUNDLES = Path("releases/bundles")


def build(version: str) -> record.UnsignedRecord:
    return record.build("autocomplete", version, "a" * 40, {"float32": "1" * 64, "dynamic_range": "2" * 64})


def test_artifacts_are_named_after_name_and_mode() -> None:
    artifacts = {"my-app-float32": BUNDLES / "float32", "my-app-dynamic-range": BUNDLES / "dynamic_range"}
    assert record.name_and_modes(artifacts) == ("my-app", ["dynamic_range", "float32"])


@pytest.mark.parametrize(
    "listed",
    [
        {"autocomplete-float32": BUNDLES / "float16"},
        {"autocomplete-float32": Path("artifacts/package/float32")},
        {"autocomplete-float32": BUNDLES / "float32", "other-float16": BUNDLES / "float16"},
        {"autocomplete-dynamic_range": BUNDLES / "dynamic_range"},
        {},
    ],
)
def test_other_artifacts_are_refused(listed: dict[str, Path]) -> None:
    with pytest.raises(UserError, match=r"dvc\.yaml"):
        record.name_and_modes(listed)


def test_the_index_has_only_stages_of_listed_versions() -> None:
    stages = {"float32": {"prod": "1.0.0", "staging": "2.0.0"}, "dynamic_range": {"prod": "0.9.0"}}
    index = record.build_index({"1.0.0": build("1.0.0"), "2.0.0": build("2.0.0")}, stages)
    assert index.stages == {"prod": {"float32": "1.0.0"}, "staging": {"float32": "2.0.0"}}
    assert index.versions["2.0.0"].modes["float32"] == ReleasedBundle(path="2.0.0/float32", sha256sums="1" * 64)
    assert index.name == "autocomplete"
