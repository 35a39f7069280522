"""summary: the table over all listed modes, as CSV, Markdown and picture, and printed.

`python -m stages.summary` prints it at any time.
"""

from dataclasses import dataclass
from pathlib import Path

from autocomplete.common import config
from autocomplete.common.files import read_json, replacing
from autocomplete.evaluate import table

VALIDATE, OUT = Path("artifacts/validate"), Path("artifacts/summary")


@dataclass(frozen=True)
class SummarySettings:
    """The modes in the table (params.yaml, quantize.modes)."""

    modes: list[str]


def run(settings: SummarySettings) -> None:
    """artifacts/validate → summary.csv, summary.md, summary.png, and the table on the screen."""
    folders = [VALIDATE / mode for mode in settings.modes]
    rows = [table.row(read_json(f / "metrics.json"), read_json(f / "performance.json")) for f in folders]
    with replacing(OUT) as folder:
        (folder / "summary.csv").write_text(table.comma_separated(rows))
        (folder / "summary.md").write_text(table.markdown(rows))
        table.plot(rows, folder / "summary.png")
    table.show(rows)


if __name__ == "__main__":
    config.main("summary", SummarySettings, run)
