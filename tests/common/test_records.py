"""Typed records: frozen, validated when they are read, and unchanged by a round trip through a file."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from autocomplete.common.artifacts import Gates, Metrics
from autocomplete.common.errors import UserError
from autocomplete.common.records import Count, Record, Sha256
from helpers import records


class File(Record):
    sha256: Sha256
    sizes: dict[str, Count]
    share: float | None = None


CONTENT: dict[str, Any] = {"sha256": "0" * 64, "sizes": {"a": 1}}


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    record = File.parse(CONTENT, "here")
    record.write(tmp_path / "file.json")
    assert File.read(tmp_path / "file.json") == record
    assert list(json.loads((tmp_path / "file.json").read_text())) == ["sha256", "sizes", "share"]


def test_a_record_cannot_change() -> None:
    with pytest.raises(ValidationError):
        File.parse(CONTENT, "here").share = 1.0


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"sha256": "0" * 63}, r"\$\.sha256"),
        ({"sha256": "G" * 64}, r"\$\.sha256"),
        ({"sizes": {"a": 0}}, r"\$\.sizes\.a"),
        ({"sizes": [1]}, r"\$\.sizes"),
        ({"share": float("nan")}, r"\$\.share"),
        ({"share": float("inf")}, r"\$\.share"),
        ({"colour": "red"}, r"\$: no property 'colour' is known"),
        ({"sha256": None}, r"\$\.sha256"),
    ],
)
def test_an_error_names_the_path_of_the_value(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(UserError, match=f"^here: {path}") as refused:
        File.parse(CONTENT | changes, "here")
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot be read"), (b"{", "is no JSON"), (b"\xff", "is no JSON"), (b"[]", r"\$")]
)
def test_a_file_that_holds_no_record_says_what_to_do(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        File.read(path)


def test_a_contract_is_1_where_all_of_its_rules_hold() -> None:
    measured = records.measured(
        android_contract={"one": True, "two": True}, portable_contract={"one": True, "two": False}
    )
    assert (measured.value("android_contract"), measured.value("portable_contract")) == (1.0, 0.0)
    assert records.measured(android_contract=None).value("android_contract") is None
    assert measured.value("perplexity") == 1.0
    assert measured.value("perplexity_ratio_stderr") == 1.0


def test_unmeasured_metrics_are_null_and_unknown_ones_refused() -> None:
    measured = records.measured(text_perplexity_ratio=None)
    assert measured.value("text_perplexity_ratio") is None
    assert measured.model_dump(mode="json")["text_perplexity_ratio"] is None
    with pytest.raises(UserError, match="no metric 'beauty'"):
        Metrics.parse(measured.model_dump() | {"beauty": 1.0}, "metrics.json")


def test_failed_gates_are_those_that_did_not_pass() -> None:
    gates: Gates = records.gates(perplexity=True, greedy_match=False)
    assert [gate.name for gate in gates.failed] == ["greedy_match"]


def test_there_is_no_start_where_the_start_token_is_not_added() -> None:
    assert records.model(add_start_token=True, start_token_id=1).start == 1
    assert records.model(add_start_token=False, start_token_id=1).start is None
