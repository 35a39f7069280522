"""The table and the plot of all modes."""

import csv
import io
from pathlib import Path

from autocomplete.evaluate import table
from helpers import records

SIZES = {"autocomplete.tflite": 2_000_000, "core.tflite": 1_500_000}
UNMEASURED = dict.fromkeys([f"{model}latency_100_tokens_s" for model in ("", "tokens_", "portable_")])


def row(mode: str, passed: bool = True) -> table.Row:
    speed = records.performance(size_bytes=SIZES, **UNMEASURED)
    return table.row(records.measured(mode=mode), speed, records.gates(mode, perplexity_ratio=passed))


def test_the_table_marks_refused_modes_and_unmeasured_values() -> None:
    refused = row("float16", passed=False)
    assert "refused: perplexity_ratio" in table.markdown([refused])
    assert " – " in table.markdown([refused])
    rows = list(csv.DictReader(io.StringIO(table.comma_separated([refused]))))
    assert rows[0]["mode"] == "float16"
    assert float(rows[0]["text_mb"]) == 2.0
    assert rows[0]["latency_100_tokens_s"] == ""


def test_the_plot_is_drawn_without_timings(tmp_path: Path) -> None:
    table.plot([row("a"), row("b")], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
