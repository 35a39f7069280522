"""The picture of a sweep: size, quality and latency of every row, and which of them no other beats."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


def draw(rows: Sequence[Row], front: Sequence[Row], best: Row | None, metrics: Sequence[str], path: Path) -> None:
    """One metric across, one up, one as the colour; rows of the Pareto front are named, refused ones crossed out."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    across, up, colour = metrics
    known = [r for r in rows if r[across] is not None and r[up] is not None]
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    x, y = [r[across] for r in known], [r[up] for r in known]
    shade = [float("nan") if r[colour] is None else r[colour] for r in known]
    points = axes.scatter(x, y, c=shade, s=60, cmap="viridis", edgecolors="grey", plotnonfinite=True, zorder=2)
    for row in front:
        spot = (row[across], row[up])
        axes.scatter(*spot, s=160, facecolors="none", edgecolors="black", linewidths=1.6, zorder=3)
        axes.annotate(row["label"], spot, textcoords="offset points", xytext=(9, 7), fontsize=8)
    for row in known:
        if row["gates"] != "passed":
            axes.plot(row[across], row[up], "x", color="red", markersize=11, markeredgewidth=2, zorder=4)
    if best is not None:
        axes.plot(best[across], best[up], "*", color="orange", markeredgecolor="black", markersize=17, zorder=5)
    figure.colorbar(points, label=colour)
    title = "Ringed: beaten by none in all three · star: best by the objective · red cross: refused"
    axes.set(xlabel=across, ylabel=up)
    axes.set_title(title, fontsize=9)
    axes.margins(0.15)
    axes.ticklabel_format(useOffset=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)
