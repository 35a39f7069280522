"""summary: the table of all listed modes, as CSV, Markdown and picture, and printed.

`python -m stages.summary` prints it at any time.
"""

from dataclasses import dataclass
from pathlib import Path

from autocomplete.common import artifacts, config, stage_seconds
from autocomplete.common.artifacts import Gates, Metrics, Performance
from autocomplete.common.files import replacing
from autocomplete.evaluate import table

VALIDATE, JUDGE, OUT = Path("artifacts/validate"), Path("artifacts/judge"), Path("artifacts/summary")


@dataclass(frozen=True)
class SummarySettings:
    """The modes in the table (params.yaml, quantize.modes)."""

    modes: list[str]


def run(settings: SummarySettings) -> None:
    """artifacts/validate and judge → summary.csv, summary.md, summary.png, and the table on the screen."""
    rows = [
        table.row(
            Metrics.read(VALIDATE / mode / artifacts.METRICS),
            Performance.read(VALIDATE / mode / artifacts.PERFORMANCE),
            Gates.read(JUDGE / mode / artifacts.GATES),
        )
        for mode in settings.modes
    ]
    with replacing(OUT) as folder:
        (folder / "summary.csv").write_text(table.comma_separated(rows))
        (folder / "summary.md").write_text(table.markdown(rows))
        table.plot(rows, folder / "summary.png")
    table.show(rows)
    _show_seconds()


def _show_seconds() -> None:
    """Prints how long each stage took when it last ran here, all modes together."""
    seconds = stage_seconds.by_stage()
    if seconds:
        listed = ", ".join(f"{stage} {value:.0f}" for stage, value in seconds.items())
        print(f"seconds of each stage when it last ran here: {listed}; together {sum(seconds.values()):.0f}")


if __name__ == "__main__":
    config.main("summary", SummarySettings, run)
