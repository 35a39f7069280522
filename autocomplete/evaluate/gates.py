"""Gates: bounds on metrics. A mode that breaks one is not packaged."""

from collections.abc import Sequence
from dataclasses import dataclass

from autocomplete.common import metrics
from autocomplete.common.artifacts import GateResult, Gates, Metrics
from autocomplete.common.errors import UserError


@dataclass(frozen=True)
class Gate:
    """A bound on a metric, for the modes that `modes` names; None: for all modes."""

    metric: str
    at_most: float | None = None
    at_least: float | None = None
    modes: list[str] | None = None

    def __post_init__(self) -> None:
        """Refuses a gate on nothing, and one that lets everything through."""
        metrics.require(self.metric, metrics.GATES, "judge.gates")
        if (self.at_most is None) == (self.at_least is None):
            raise UserError(f"judge.gates: {self.metric} needs one of at_most and at_least")


def judge(gates: Sequence[Gate], mode_metrics: Metrics) -> Gates:
    """Applies the gates that a mode has.

    A gate on a metric that was not measured is left out: so is one on the text model for a mode without a text model.
    """
    results = []
    for gate in gates:
        value = mode_metrics.value(gate.metric)
        if value is None or (gate.modes is not None and mode_metrics.mode not in gate.modes):
            continue
        threshold = f"<= {gate.at_most:g}" if gate.at_most is not None else f">= {gate.at_least:g}"
        passed = value <= gate.at_most if gate.at_most is not None else value >= (gate.at_least or 0.0)
        results.append(GateResult(name=gate.metric, threshold=threshold, value=value, passed=passed))
    return Gates(mode=mode_metrics.mode, gates=results)
