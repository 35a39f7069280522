"""The table, the picture and the recommendation of a sweep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from autocomplete.common.files import csv_text, write_bytes
from autocomplete.common.metrics import Metric
from autocomplete.sweep import picture, ranking
from autocomplete.sweep.ranking import Constraint

Row = Mapping[str, Any]
_WIDE = 1000  # characters; more than any table needs


@dataclass(frozen=True)
class Wish:
    """The metric to be best in, the bounds to keep, and the three metrics of the picture."""

    objective: str
    bounds: list[Constraint]
    pareto: list[str]

    def __str__(self) -> str:
        return ", ".join([self.objective, *map(str, self.bounds)])


def write(rows: Sequence[Row], columns: Sequence[Metric], wish: Wish, folder: Path) -> Row | None:
    """Rows keyed by job, swept values (`values`) and mode → table.csv, table.md, pareto.png; and the best row."""
    front = ranking.pareto(rows, wish.pareto)
    best = ranking.best(rows, wish.objective, wish.bounds)
    swept = sorted({key for row in rows for key in row["values"]})
    keys = [[r["job"], *(r["values"].get(key, "") for key in swept), r["mode"]] for r in rows]
    ends = [[r["gates"], _mark(r, front, best)] for r in rows]
    exact = [[r[c.key] for c in columns] for r in rows]
    shown = [["–" if r[c.key] is None else format(r[c.key], c.form) for c in columns] for r in rows]

    def lines(middle: Sequence[list[Any]]) -> list[list[Any]]:
        return [a + b + c for a, b, c in zip(keys, middle, ends, strict=True)]

    first, last = ["job", *swept, "mode"], ["gates", "Pareto"]
    write_bytes(folder / "table.csv", csv_text([*first, *(c.key for c in columns), *last], lines(exact)).encode())
    headings = [*first, *(c.heading for c in columns), *last]
    write_bytes(folder / "table.md", _markdown(headings, lines(shown)).encode())
    picture.draw(rows, front, best, wish.pareto, folder / "pareto.png")
    wanted = {wish.objective, *(bound.metric for bound in wish.bounds), *wish.pareto}
    chosen = [len(first) + i for i, column in enumerate(columns) if column.key in wanted]
    matter = [0, len(first) - 1, *chosen, len(headings) - 2, len(headings) - 1]  # a job's name tells what was swept
    _show(headings, lines(shown), len(first), matter)
    return best


def _mark(row: Row, front: Sequence[Row], best: Row | None) -> str:
    return "best" if row is best else "front" if any(row is other for other in front) else ""


def _markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in [headings, ["---"] * len(headings), *lines])


def _show(headings: Sequence[str], lines: Sequence[Sequence[str]], names: int, matter: Sequence[int]) -> None:
    """Prints the table; on a terminal too narrow for it only the columns that matter, with a word that there are more.

    The first `names` columns and the last two are text, the others numbers.
    """
    every = range(len(headings))
    console = Console()
    whole, wide = _table(headings, lines, every, names), Console(width=_WIDE)
    if not console.is_terminal or wide.measure(whole).maximum <= console.width:
        (console if console.is_terminal else wide).print(whole)
        return
    console.print(_table(headings, lines, matter, names))
    print(f"{len(every) - len(matter)} more columns in table.md; this terminal has no room for them")


def _table(headings: Sequence[str], lines: Sequence[Sequence[str]], columns: Sequence[int], names: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for index in columns:
        numeric = names <= index < len(headings) - 2
        table.add_column(headings[index], justify="right" if numeric else "left", overflow="fold", no_wrap=numeric)
    for line in lines:
        style = "red" if line[-2] != "passed" else "bold" if line[-1] == "best" else ""
        table.add_row(*(line[index] for index in columns), style=style)
    return table
