"""The registry from which tables, gates, sweeps, cards and schemas draw."""

import pytest

from autocomplete.common import metrics
from autocomplete.common.errors import UserError


def test_each_key_stands_in_one_registry() -> None:
    registries = (metrics.QUALITY, metrics.PERFORMANCE, metrics.SIZES)
    assert len(metrics.METRICS) == sum(map(len, registries))
    assert all(key == metric.key for key, metric in metrics.METRICS.items())


def test_ranked_metrics_have_a_direction() -> None:
    assert {metrics.METRICS[key].better for key in metrics.RANKED} == {metrics.UP, metrics.DOWN}
    assert not {"android_contract", "portable_contract", "perplexity_stderr"} & set(metrics.RANKED)


def test_gates_are_on_quality_only() -> None:
    assert set(metrics.GATES) <= metrics.QUALITY.keys()
    assert {"perplexity_ratio", "android_contract"} <= set(metrics.GATES)


def test_columns_have_headings_of_their_own_and_sizes_first() -> None:
    columns = metrics.columns()
    headings = [column.heading for column in columns]
    assert all(headings) and len(set(headings)) == len(headings)
    assert [column.key for column in columns[: len(metrics.SIZES)]] == list(metrics.SIZES)


@pytest.mark.parametrize("metric", [m for m in metrics.METRICS.values() if m.better], ids=lambda m: m.key)
def test_formats_are_of_numbers(metric: metrics.Metric) -> None:
    assert float(format(0.25, metric.form)) >= 0


def test_an_unknown_metric_is_one_line_with_those_allowed() -> None:
    metrics.require("perplexity", metrics.RANKED, "sweep.objective")
    with pytest.raises(UserError, match=r"^sweep\.objective: no metric 'beauty'; allowed: .*perplexity"):
        metrics.require("beauty", metrics.RANKED, "sweep.objective")


def test_values_are_rounded_to_significant_digits() -> None:
    assert metrics.significant(123456789.0) == 123457000.0
    assert metrics.significant(0.000123456789) == 0.000123457
    assert metrics.rounded({"a": 0.123456, "b": None}, 4) == {"a": 0.1235, "b": None}
