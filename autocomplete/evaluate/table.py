"""The table of modes, a row for each, as text, CSV, Markdown and a picture."""

from collections.abc import Sequence
from pathlib import Path

from autocomplete.common import metrics
from autocomplete.common.artifacts import Gates, Metrics, Performance
from autocomplete.common.files import csv_text
from autocomplete.common.metrics import Metric

Row = dict[str, str | float | None]  # `mode`, `gates`, and metrics by key: None where a mode has none

COLUMNS = metrics.columns()
LEGEND = (
    "ratio: perplexity to float32, of core.tflite and of the core inside the text model · top-1, KL (nats): agreement "
    "with float32 · next word, keys saved: share of held-out places where the likeliest next word is the author's, and "
    "of keystrokes that suggestions of three words save · = Keras: share of prompts with the same greedy text · "
    "decode/s: tokens per second of core.tflite · text s, tokens s, portable s: seconds for an answer of 100 tokens"
)


def row(quality: Metrics, performance: Performance, gates: Gates) -> Row:
    """The row of a mode: every metric, timing and size, and the gates that failed."""
    sizes, failed = performance.size_bytes, [gate.name for gate in gates.failed]
    values = {key: quality.value(key) for key in metrics.QUALITY}
    errors = {f"{m.key}_stderr": quality.value(f"{m.key}_stderr") for m in metrics.QUALITY.values() if m.stderr}
    return {
        "mode": quality.mode,
        **values,
        **errors,
        **{key: performance.value(key) for key in metrics.PERFORMANCE},
        "text_mb": sizes["autocomplete.tflite"] / 1e6 if "autocomplete.tflite" in sizes else None,
        "core_mb": sizes["core.tflite"] / 1e6,
        "gates": f"refused: {', '.join(failed)}" if failed else "passed",
    }


def cells(row: Row) -> list[str]:
    """A row as text."""
    return [str(row["mode"]), *(number(row, c) for c in COLUMNS), str(row["gates"])]


def number(row: Row, column: Metric) -> str:
    """A row's number in the format of its column; a dash where it was not measured."""
    value = row[column.key]
    return "–" if value is None else format(value, column.form)


def markdown(rows: Sequence[Row]) -> str:
    """The table in Markdown."""
    return f"{markdown_lines(headings(), [cells(r) for r in rows])}\n{LEGEND}\n"


def markdown_lines(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Any table in Markdown."""
    return "".join(f"| {' | '.join(line)} |\n" for line in [headings, ["---"] * len(headings), *lines])


def comma_separated(rows: Sequence[Row]) -> str:
    """The table with full precision, for programs."""
    lines = ([r["mode"], *(r[c.key] for c in COLUMNS), r["gates"]] for r in rows)
    return csv_text(["mode", *(c.key for c in COLUMNS), "gates"], lines)


def headings() -> list[str]:
    """The headings of the columns."""
    return ["mode", *(c.heading for c in COLUMNS), "gates"]


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draws perplexity ratios over the cores' sizes, with latency as the colour and refused modes crossed out."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    seconds = [r["tokens_latency_100_tokens_s"] or float("nan") for r in rows]
    sizes, ratios = [r["core_mb"] for r in rows], [r["perplexity_ratio"] for r in rows]
    points = axes.scatter(sizes, ratios, c=seconds, s=90, cmap="viridis_r", edgecolors="black", plotnonfinite=True)
    errors = [r["perplexity_ratio_stderr"] or 0.0 for r in rows]
    axes.errorbar(sizes, ratios, errors, fmt="none", ecolor="grey", capsize=3, zorder=0)
    for r in rows:
        point = (r["core_mb"], r["perplexity_ratio"])
        axes.annotate(r["mode"], point, textcoords="offset points", xytext=(9, 7))
        if r["gates"] != "passed":
            axes.plot(*point, "x", color="red", markersize=14, markeredgewidth=2)
    figure.colorbar(points, label="tokens model, answer of 100 tokens, s")
    axes.set(xlabel="core.tflite, MB", ylabel="perplexity, ratio to float32", title="Modes (red cross: refused)")
    axes.margins(0.18)
    axes.ticklabel_format(useOffset=False)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def show(rows: Sequence[Row]) -> None:
    """Prints the table, on a terminal in its width, elsewhere as wide as the table is."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, caption=LEGEND, caption_justify="left")
    for index, heading in enumerate(headings()):
        table.add_column(heading, justify="left" if index in (0, len(COLUMNS) + 1) else "right", overflow="fold")
    for r in rows:
        table.add_row(*cells(r), style="" if r["gates"] == "passed" else "red")
    console = Console()
    (console if console.is_terminal else Console(width=240)).print(table)
