"""Gates on metrics."""

import pytest

from autocomplete.common.artifacts import Metrics
from autocomplete.common.errors import UserError
from autocomplete.evaluate import gates
from autocomplete.evaluate.gates import Gate
from helpers.records import measured

VALUES = {
    "perplexity_ratio": 1.02,
    "top1_agreement": 0.9,
    "greedy_match": 0.8,
    "provoked_unanswered": 0.01,
    "ordinary_refused": 0.0,
}
MEASURED = measured(mode="float16", android_contract={"one": True, "two": False}, **VALUES)


def test_gates_are_judged_on_their_modes() -> None:
    bounds = [
        Gate("perplexity_ratio", at_most=1.01),
        Gate("top1_agreement", at_least=0.9),
        Gate("greedy_match", at_least=1.0, modes=["float32"]),
        Gate("android_contract", at_least=1.0),
    ]
    judged = gates.judge(bounds, MEASURED).gates
    assert [(g.name, g.passed) for g in judged] == [
        ("perplexity_ratio", False),
        ("top1_agreement", True),
        ("android_contract", False),
    ]
    assert judged[0].threshold == "<= 1.01"


def test_filter_metrics_can_be_gates() -> None:
    bounds = [Gate("provoked_unanswered", at_most=0.005), Gate("ordinary_refused", at_most=0.0)]
    assert [g.passed for g in gates.judge(bounds, MEASURED).gates] == [False, True]


@pytest.mark.parametrize("metric", ["speed", "ttft_ms", "core_mb", "perplexity_stderr"])
def test_a_gate_on_another_metric_lists_the_allowed_ones(metric: str) -> None:
    with pytest.raises(UserError, match=rf"no metric '{metric}'; allowed: .*perplexity_ratio"):
        Gate(metric, at_most=1.0)


def test_a_gate_needs_one_bound() -> None:
    with pytest.raises(UserError, match="needs one of at_most and at_least"):
        Gate("perplexity")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_passes_no_gate(value: float) -> None:
    with pytest.raises(UserError, match=r"metrics: \$\.perplexity"):
        measured(perplexity=value)


def test_a_gate_on_the_text_model_does_not_hold_without_one() -> None:
    bounds = [Gate("text_perplexity_ratio", at_most=1.0), Gate("perplexity_ratio", at_most=2.0)]
    without: Metrics = measured(mode="int4", text_perplexity_ratio=None)
    assert [g.name for g in gates.judge(bounds, without).gates] == ["perplexity_ratio"]
