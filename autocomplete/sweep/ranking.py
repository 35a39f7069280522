"""Which rows of a sweep's table no other beats, and which one meets an objective best."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.metrics import METRICS, UP

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Constraint:
    """A bound on a metric, as `<=1.02` says it."""

    metric: str
    sign: str
    bound: float

    def holds(self, row: Row) -> bool:
        """Does a row keep the bound? One that lacks the metric does not."""
        value = row.get(self.metric)
        return value is not None and _COMPARE[self.sign](float(value), self.bound)

    def __str__(self) -> str:
        return f"{self.metric} {self.sign} {self.bound:g}"


def constraint(metric: str, text: str) -> Constraint:
    """Reads `<=1.02`; raises UserError for anything else."""
    found = re.fullmatch(r"\s*(<=|>=|<|>)\s*([-+.\deE]+)\s*", text)
    try:
        if found:
            return Constraint(metric, found[1], float(found[2]))
    except ValueError:
        pass
    raise UserError(f"sweep.constraints.{metric} is {text!r}; allowed: <=, >=, < or > and a number, as in '<=1.02'")


def best(rows: Sequence[Row], objective: str, constraints: Sequence[Constraint]) -> Row | None:
    """The row with the best objective among those that gates let pass and that keep all constraints."""
    allowed = [r for r in rows if r["gates"] == "passed" and r.get(objective) is not None]
    allowed = [r for r in allowed if all(c.holds(r) for c in constraints)]
    return min(allowed, key=lambda r: _cost(r, objective), default=None)


def pareto(rows: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    """The rows that no other equals or beats in all metrics and beats in one; a row that lacks a metric is none."""
    known = [r for r in rows if all(r.get(m) is not None for m in metrics)]
    costs = [[_cost(r, m) for m in metrics] for r in known]
    return [r for r, own in zip(known, costs, strict=True) if not any(_beats(other, own) for other in costs)]


def _cost(row: Row, metric: str) -> float:
    return -float(row[metric]) if METRICS[metric].better == UP else float(row[metric])


def _beats(other: Sequence[float], own: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(other, own, strict=True)) and list(other) != list(own)
