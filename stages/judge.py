"""judge: holds what validate measured of one mode against the gates; a changed gate measures nothing anew."""

from dataclasses import dataclass
from pathlib import Path

from autocomplete.common import artifacts, config
from autocomplete.common.artifacts import Metrics
from autocomplete.common.files import replacing
from autocomplete.evaluate import gates

VALIDATE, OUT = Path("artifacts/validate"), Path("artifacts/judge")


@dataclass(frozen=True)
class JudgeSettings:
    """The gates (conf/judge/*.yaml)."""

    mode: str
    gates: list[gates.Gate]


def run(settings: JudgeSettings) -> None:
    """metrics.json of a mode → gates.json. A gate that failed keeps the mode from being packaged, not from here."""
    measured = Metrics.read(VALIDATE / settings.mode / artifacts.METRICS)
    judged = gates.judge(settings.gates, measured)
    with replacing(OUT / settings.mode) as folder:
        judged.write(folder / artifacts.GATES)
    for gate in judged.gates:
        mark = "passed" if gate.passed else "FAILED"
        print(f"{settings.mode}: {gate.name} {gate.value:g}, wanted {gate.threshold}: {mark}")


if __name__ == "__main__":
    config.main("judge", JudgeSettings, run)
