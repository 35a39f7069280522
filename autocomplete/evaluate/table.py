"""The table of modes: a row for each from its records, as text, CSV, Markdown and a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autocomplete.common import metrics
from autocomplete.common.artifacts import Gates, Metrics, Performance
from autocomplete.common.files import csv_text

Row = dict[str, str | int | float | bool | None]

COLUMNS = metrics.columns()
LEGEND = (
    "ratio: perplexity to float32, of core.tflite and of the core inside the text model · top-1, KL (nats): agreement "
    "with float32 · next word, keys saved: share of held-out places where the likeliest next word is the author's, and "
    "of keystrokes that suggestions of three words save · = Keras: share of prompts with the same greedy text · "
    "decode/s: tokens per second of core.tflite · text s, tokens s, portable s: seconds for an answer of 100 tokens"
)


def row(measured: Metrics, performance: Performance, gates: Gates) -> Row:
    """One mode's row: every metric, timing and size, and the gates that failed."""
    sizes, failed = performance.size_bytes, [gate.name for gate in gates.failed]
    numbers = {key: measured.value(key) for key in metrics.QUALITY}
    errors = {f"{m.key}_stderr": measured.value(f"{m.key}_stderr") for m in metrics.QUALITY.values() if m.stderr}
    return {
        "mode": measured.mode,
        **numbers,
        **errors,
        **{key: performance.value(key) for key in metrics.PERFORMANCE},
        "text_mb": sizes["autocomplete.tflite"] / 1e6 if "autocomplete.tflite" in sizes else None,
        "core_mb": sizes["core.tflite"] / 1e6,
        "gates": f"refused: {', '.join(failed)}" if failed else "passed",
    }


def cells(values: dict[str, Any]) -> list[str]:
    """A row as text; a value that was not measured is a dash."""
    numbers = [format(values[c.key], c.form) if values[c.key] is not None else "–" for c in COLUMNS]
    return [values["mode"], *numbers, values["gates"]]


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table in Markdown."""
    lines = [headings(), ["---"] * len(headings()), *(cells(r) for r in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + f"\n{LEGEND}\n"


def comma_separated(rows: Sequence[dict[str, Any]]) -> str:
    """The table with full precision, for programs."""
    lines = ([r["mode"], *(r[c.key] for c in COLUMNS), r["gates"]] for r in rows)
    return csv_text(["mode", *(c.key for c in COLUMNS), "gates"], lines)


def headings() -> list[str]:
    """The table's heading."""
    return ["mode", *(c.heading for c in COLUMNS), "gates"]


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """The core's size against its perplexity ratio, latency as the colour, refused modes crossed out."""
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
        spot = (r["core_mb"], r["perplexity_ratio"])
        axes.annotate(r["mode"], spot, textcoords="offset points", xytext=(9, 7))
        if r["gates"] != "passed":
            axes.plot(*spot, "x", color="red", markersize=14, markeredgewidth=2)
    figure.colorbar(points, label="tokens model, answer of 100 tokens, s")
    axes.set(xlabel="core.tflite, MB", ylabel="perplexity, ratio to float32", title="Modes (red cross: refused)")
    axes.margins(0.18)
    axes.ticklabel_format(useOffset=False)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Prints the table; on a terminal as wide as that, elsewhere as wide as it needs."""
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
