"""The combinations of a sweep, in the grammar of Hydra's overrides."""

import pytest

from autocomplete.common.errors import UserError
from autocomplete.sweep import launcher
from helpers.folders import ROOT


@pytest.fixture(autouse=True)
def project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_lists_and_ranges_are_combined() -> None:
    combinations = launcher.parse_combinations(
        ["quantize=float32,float16", "convert.sequence_length=range(40,42)", "a=x"]
    )
    assert combinations == [
        {"quantize": mode, "convert.sequence_length": length, "a": "x"}
        for mode in ("float32", "float16")
        for length in ("40", "41")
    ]


def test_a_glob_takes_the_files_of_a_group() -> None:
    combinations = launcher.parse_combinations(["quantize=glob(float*)"])
    assert {combination["quantize"] for combination in combinations} == {"float16", "float32"}


def test_the_last_of_two_values_of_a_key_wins() -> None:
    assert launcher.parse_combinations(["a=1,2", "a=3"]) == [{"a": "3"}]


def test_no_overrides_are_one_empty_combination() -> None:
    assert launcher.parse_combinations([]) == [{}]


@pytest.mark.parametrize(
    ("value", "message"),
    [("a=interval(1,9)", "an interval has no end"), ("no override", "no override"), ("a=[1", r"\[1")],
)
def test_invalid_overrides_are_refused_in_one_line(value: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        launcher.parse_combinations([value])
    assert "\n" not in str(refused.value)
