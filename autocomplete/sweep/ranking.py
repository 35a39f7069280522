"""The rows of a sweep's table, its Pareto front, and the row that meets an objective best."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from autocomplete.common.errors import UserError
from autocomplete.common.metrics import METRICS, UP
from autocomplete.evaluate.table import Row

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class JobRow:
    """One mode of a job.

    Attributes:
      job: the job's name.
      swept: key of params.yaml → value that the sweep gave it, the mode excepted.
      cells: the mode's row of the table of modes.
    """

    job: str
    swept: Mapping[str, str]
    cells: Row

    @property
    def passed(self) -> bool:
        """Whether the mode passed all gates."""
        return self.cells["gates"] == "passed"

    def metric(self, key: str) -> float | None:
        """Returns a metric; None where it was not measured."""
        value = self.cells.get(key)
        return None if value is None else float(value)


@dataclass(frozen=True)
class Constraint:
    """A bound on a metric, such as `<=1.02`."""

    metric: str
    operator: str
    bound: float

    def holds(self, row: JobRow) -> bool:
        """Whether a row keeps the bound; a row without the metric does not."""
        value = row.metric(self.metric)
        return value is not None and _OPERATORS[self.operator](value, self.bound)

    def __str__(self) -> str:
        return f"{self.metric} {self.operator} {self.bound:g}"


def parse_constraint(metric: str, text: str) -> Constraint:
    """Reads a bound such as `<=1.02`; raises UserError for anything else."""
    match = re.fullmatch(r"\s*(<=|>=|<|>)\s*([-+.\deE]+)\s*", text)
    try:
        if match:
            return Constraint(metric, match[1], float(match[2]))
    except ValueError:
        pass
    raise UserError(f"sweep.constraints.{metric} is {text!r}; allowed: <=, >=, < or > and a number, as in '<=1.02'")


def best(rows: Sequence[JobRow], objective: str, constraints: Sequence[Constraint]) -> JobRow | None:
    """Returns the row with the best objective among those that passed all gates and keep all constraints."""
    candidates = [
        (cost, row)
        for row in rows
        if row.passed and (cost := _cost(row, objective)) is not None and all(c.holds(row) for c in constraints)
    ]
    return min(candidates, key=lambda candidate: candidate[0], default=(0.0, None))[1]


def pareto_front(rows: Sequence[JobRow], metrics: Sequence[str]) -> list[JobRow]:
    """Returns the rows that no other row dominates; a row without one of the metrics is not among them."""
    costs_of_rows = []
    for row in rows:
        costs = [cost for metric in metrics if (cost := _cost(row, metric)) is not None]
        if len(costs) == len(metrics):
            costs_of_rows.append((costs, row))
    return [row for costs, row in costs_of_rows if not any(_dominates(other, costs) for other, _ in costs_of_rows)]


def _cost(row: JobRow, metric: str) -> float | None:
    """Returns a metric with the sign by which less is better."""
    value = row.metric(metric)
    return -value if value is not None and METRICS[metric].better == UP else value


def _dominates(costs: Sequence[float], other: Sequence[float]) -> bool:
    """Whether costs are nowhere above the other's and somewhere below."""
    return all(a <= b for a, b in zip(costs, other, strict=True)) and list(costs) != list(other)
