"""The table of a sweep: exact in CSV, rounded in Markdown, with the best and the front marked."""

import csv
from pathlib import Path

from autocomplete.common import metrics
from autocomplete.evaluate.table import Row
from autocomplete.sweep import ranking, report
from autocomplete.sweep.ranking import JobRow

COLUMNS = [metrics.METRICS[key] for key in ("core_mb", "perplexity_ratio", "decode_tokens_per_s")]
PARETO = [column.key for column in COLUMNS]


def row(job: str, mb: float, ratio: float | None, speed: float, gates: str = "passed") -> JobRow:
    metrics_of_row: Row = {"core_mb": mb, "perplexity_ratio": ratio, "decode_tokens_per_s": speed}
    return JobRow(job, {"convert.top_k": "5"}, metrics_of_row | {"mode": "int8", "gates": gates})


ROWS = [
    row("small", 1.23456, 1.0123456, 50.0),
    row("fast", 2.0, 1.001, 99.0),
    row("refused", 0.5, 1.5, 99.0, "refused: perplexity_ratio"),
    row("beaten", 3.0, 1.1, 40.0),
    row("unmeasured", 9.0, None, 1.0),
]


def written(folder: Path, *bounds: ranking.Constraint) -> tuple[JobRow | None, list[dict[str, str]], list[str]]:
    """The best row, the lines of table.csv, and those of table.md."""
    best = report.write(ROWS, COLUMNS, report.Criteria("decode_tokens_per_s", list(bounds), PARETO), folder)
    lines = list(csv.DictReader((folder / "table.csv").open()))
    return best, lines, (folder / "table.md").read_text().splitlines()


def test_the_best_and_the_front_are_marked(tmp_path: Path) -> None:
    best, lines, _ = written(tmp_path)
    assert best is ROWS[1]
    marks = {line["job"]: line["Pareto"] for line in lines}
    assert marks == {"small": "front", "fast": "best", "refused": "front", "beaten": "", "unmeasured": ""}
    assert (tmp_path / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_figures_are_exact_in_csv_and_short_in_markdown(tmp_path: Path) -> None:
    _, lines, markdown = written(tmp_path)
    assert lines[0]["core_mb"] == "1.23456"
    assert lines[0]["convert.top_k"] == "5"
    assert lines[4]["perplexity_ratio"] == ""
    assert "| small | 5 | int8 | 1.23 | 1.0123 | 50 | passed | front |" in markdown
    assert "| unmeasured | 5 | int8 | 9.00 | – | 1 | passed |  |" in markdown


def test_without_a_row_within_the_bounds_there_is_no_best(tmp_path: Path) -> None:
    best, lines, _ = written(tmp_path, ranking.parse_constraint("core_mb", "<0.1"))
    assert best is None
    assert "best" not in {line["Pareto"] for line in lines}


def test_criteria_are_shown_as_objective_and_bounds() -> None:
    criteria = report.Criteria("decode_tokens_per_s", [ranking.parse_constraint("core_mb", "<=2")], PARETO)
    assert str(criteria) == "decode_tokens_per_s, core_mb <= 2"
