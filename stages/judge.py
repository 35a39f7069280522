"""judge: compares the metrics of one mode with the gates; after a changed gate nothing is measured again."""

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
    """metrics.json of a mode → gates.json. A failed gate does not fail this stage, but the mode is not packaged."""
    metrics = Metrics.read(VALIDATE / settings.mode / artifacts.METRICS)
    judged = gates.judge(settings.gates, metrics)
    with replacing(OUT / settings.mode) as folder:
        judged.write(folder / artifacts.GATES)
    for gate in judged.gates:
        mark = "passed" if gate.passed else "FAILED"
        print(f"{settings.mode}: {gate.name} {gate.value:g}, wanted {gate.threshold}: {mark}")


if __name__ == "__main__":
    config.main("judge", JudgeSettings, run)
