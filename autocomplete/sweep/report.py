"""The report of a sweep: a table, a scatter plot, the Pareto front and the best row."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from autocomplete.common.files import csv_text, write_bytes
from autocomplete.common.metrics import Metric
from autocomplete.evaluate import table
from autocomplete.sweep import ranking
from autocomplete.sweep.ranking import Constraint, JobRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_UNLIMITED_WIDTH = 1000  # characters; more than any table needs


@dataclass(frozen=True)
class Criteria:
    """What the sweep looks for.

    Attributes:
      objective: the metric that the best row is chosen by.
      constraints: the bounds that the best row must keep.
      pareto: the three metrics of the Pareto front, which the plot shows across, up and as colour.
    """

    objective: str
    constraints: list[Constraint]
    pareto: list[str]

    def __str__(self) -> str:
        return ", ".join([self.objective, *map(str, self.constraints)])


@dataclass(frozen=True)
class _TextTable:
    """The table as text: columns that name a row, columns of metrics, then gates and Pareto mark.

    Attributes:
      headings: of all columns.
      lines: the rows' cells.
      name_columns: how many columns name the row.
    """

    headings: list[str]
    lines: list[list[str]]
    name_columns: int

    def is_metric(self, column: int) -> bool:
        """Whether a column holds numbers."""
        return self.name_columns <= column < len(self.headings) - 2


def write(rows: Sequence[JobRow], columns: Sequence[Metric], criteria: Criteria, folder: Path) -> JobRow | None:
    """Writes table.csv, table.md and pareto.png into a folder, prints the table, and returns the best row.

    Args:
      rows: at least one.
      columns: the metrics of the table.
      criteria: what the best row and the Pareto front are chosen by.
      folder: where the files go.
    """
    front = ranking.pareto_front(rows, criteria.pareto)
    best = ranking.best(rows, criteria.objective, criteria.constraints)
    swept = sorted({key for row in rows for key in row.swept})
    names = [[r.job, *(r.swept.get(key, "") for key in swept), str(r.cells["mode"])] for r in rows]
    ends = [[str(r.cells["gates"]), _mark(r, front, best)] for r in rows]
    name_headings, end_headings = ["job", *swept, "mode"], ["gates", "Pareto"]

    exact = [[*n, *(r.cells[c.key] for c in columns), *e] for n, r, e in zip(names, rows, ends, strict=True)]
    keys = [*name_headings, *(c.key for c in columns), *end_headings]
    write_bytes(folder / "table.csv", csv_text(keys, exact).encode())

    rounded = [
        [*n, *(table.number(r.cells, c) for c in columns), *e] for n, r, e in zip(names, rows, ends, strict=True)
    ]
    headings = [*name_headings, *(c.heading for c in columns), *end_headings]
    write_bytes(folder / "table.md", table.markdown_lines(headings, rounded).encode())

    _plot(rows, front, best, criteria.pareto, folder / "pareto.png")
    _print(_TextTable(headings, rounded, len(name_headings)), _essential_columns(columns, criteria, len(name_headings)))
    return best


def _mark(row: JobRow, front: Sequence[JobRow], best: JobRow | None) -> str:
    return "best" if row is best else "front" if any(row is other for other in front) else ""


def _essential_columns(columns: Sequence[Metric], criteria: Criteria, name_columns: int) -> list[int]:
    """Returns the columns for narrow terminals; the swept values are left out, as the job's name tells them."""
    wanted = {criteria.objective, *(constraint.metric for constraint in criteria.constraints), *criteria.pareto}
    metrics = [name_columns + index for index, column in enumerate(columns) if column.key in wanted]
    end = name_columns + len(columns)
    return [0, name_columns - 1, *metrics, end, end + 1]


def _print(text_table: _TextTable, essential: Sequence[int]) -> None:
    """Prints the table; on a terminal that is too narrow only the essential columns, and says so."""
    console, unlimited = Console(), Console(width=_UNLIMITED_WIDTH)
    whole = _rich_table(text_table, range(len(text_table.headings)))
    if not console.is_terminal or unlimited.measure(whole).maximum <= console.width:
        (console if console.is_terminal else unlimited).print(whole)
        return
    console.print(_rich_table(text_table, essential))
    print(f"{len(text_table.headings) - len(essential)} more columns in table.md; this terminal has no room for them")


def _rich_table(text_table: _TextTable, columns: Sequence[int]) -> Table:
    rich_table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for index in columns:
        numeric = text_table.is_metric(index)
        rich_table.add_column(
            text_table.headings[index], justify="right" if numeric else "left", overflow="fold", no_wrap=numeric
        )
    for line in text_table.lines:
        style = "red" if line[-2] != "passed" else "bold" if line[-1] == "best" else ""
        rich_table.add_row(*(line[index] for index in columns), style=style)
    return rich_table


@dataclass(frozen=True)
class _Point:
    """A row of the plot and its coordinates."""

    row: JobRow
    x: float
    y: float


def _plot(
    rows: Sequence[JobRow], front: Sequence[JobRow], best: JobRow | None, metrics: Sequence[str], path: Path
) -> None:
    """Plots the first metric across, the second up and the third as colour, and saves the plot as PNG.

    Rows of the front are ringed and named, those that a gate refused are crossed out.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    across, up, colour = metrics
    coordinates = [(row, row.metric(across), row.metric(up)) for row in rows]
    points = [_Point(row, x, y) for row, x, y in coordinates if x is not None and y is not None]
    xs, ys = [point.x for point in points], [point.y for point in points]
    colours = [float("nan") if (value := point.row.metric(colour)) is None else value for point in points]
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    scatter = axes.scatter(xs, ys, c=colours, s=60, cmap="viridis", edgecolors="grey", plotnonfinite=True, zorder=2)
    for point in points:
        if any(point.row is other for other in front):
            _ring(axes, point)
        if not point.row.passed:
            axes.plot(point.x, point.y, "x", color="red", markersize=11, markeredgewidth=2, zorder=4)
        if point.row is best:
            axes.plot(point.x, point.y, "*", color="orange", markeredgecolor="black", markersize=17, zorder=5)
    figure.colorbar(scatter, label=colour)
    axes.set(xlabel=across, ylabel=up)
    axes.set_title("Ringed: beaten by none in all three · star: best by the objective · red cross: refused", fontsize=9)
    axes.margins(0.15)
    axes.ticklabel_format(useOffset=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def _ring(axes: "Axes", point: _Point) -> None:
    """Rings a point, and names it by its job without the hash."""
    axes.scatter(point.x, point.y, s=160, facecolors="none", edgecolors="black", linewidths=1.6, zorder=3)
    label = point.row.job.rpartition("-")[0]
    axes.annotate(label, (point.x, point.y), textcoords="offset points", xytext=(9, 7), fontsize=8)
