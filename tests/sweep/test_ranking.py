"""Objective, constraints, Pareto front."""

import pytest

from autocomplete.common.errors import UserError
from autocomplete.sweep import ranking
from autocomplete.sweep.ranking import JobRow

METRICS = ["core_mb", "perplexity_ratio", "decode_tokens_per_s"]


def row(mb: float, ratio: float | None, speed: float, gates: str = "passed") -> JobRow:
    return JobRow("", {}, {"core_mb": mb, "perplexity_ratio": ratio, "decode_tokens_per_s": speed, "gates": gates})


def test_the_best_keeps_the_bounds_and_passed_its_gates() -> None:
    slow, fast, fastest, refused = row(1, 1.0, 5), row(1, 1.01, 6), row(1, 1.03, 7), row(1, 1.0, 9, "refused: x")
    bounds = [ranking.parse_constraint("perplexity_ratio", "<=1.02")]
    assert ranking.best([slow, fast, fastest, refused], "decode_tokens_per_s", bounds) is fast
    assert ranking.best([slow, fast, fastest, refused], "decode_tokens_per_s", []) is fastest
    assert ranking.best([fast, slow], "perplexity_ratio", []) is slow
    assert ranking.best([refused, fastest, row(1, None, 8)], "decode_tokens_per_s", bounds) is None


@pytest.mark.parametrize(
    ("text", "holds"), [("<=1", True), ("<1", False), (">= 1", True), (">1e0", False), ("<1.5", True)]
)
def test_comparison_operators(text: str, holds: bool) -> None:
    assert ranking.parse_constraint("core_mb", text).holds(row(1, 1, 1)) is holds


@pytest.mark.parametrize("text", ["1.02", "==1", "<=", "<=one", "<=1-2"])
def test_invalid_bounds_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="allowed: <=, >=, < or > and a number"):
        ranking.parse_constraint("core_mb", text)


def test_the_front_has_all_rows_that_no_other_dominates() -> None:
    small, good, fast, beaten = row(1, 1.2, 5), row(9, 1.0, 5), row(5, 1.1, 9), row(6, 1.1, 9)
    twin, lacking = row(1, 1.2, 5), row(0, None, 99)
    assert ranking.pareto_front([small, good, fast, beaten, twin, lacking], METRICS) == [small, good, fast, twin]
