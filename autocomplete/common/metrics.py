"""The registry of metrics: what validate measures, and how tables, gates, sweeps, cards and schemas name it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from autocomplete.common.errors import UserError

UP: Final = "up"
DOWN: Final = "down"

MetricValues = dict[str, float | None]  # by the metric's key, or `<key>_stderr`; None where it was not measured


@dataclass(frozen=True)
class Metric:
    """A quantity that is measured.

    Attributes:
      key: its name in metrics.json, performance.json or a row of the summary.
      label: its name in words.
      heading: of its column in a table, with the unit; "" where no table shows it.
      unit: behind the value in a sentence, with a blank before it.
      form: the format of the numbers in its column.
      better: whether higher values are better (up) or lower ones (down); None for neither, or for no number.
      gate: whether a gate may bound it.
      stderr: whether `<key>_stderr` holds its standard error.
    """

    key: str
    label: str
    heading: str = ""
    unit: str = ""
    form: str = "g"
    better: Literal["up", "down"] | None = None
    gate: bool = True
    stderr: bool = False


def _quality() -> Iterable[Metric]:
    yield Metric("parity_max", "largest difference of logits from Keras", better=DOWN)
    yield Metric("parity_mean", "mean difference of logits from Keras", better=DOWN)
    yield Metric("parity_relative", "largest difference of logits from Keras, of the largest logit", better=DOWN)
    yield Metric("perplexity", "perplexity", "perplexity", form=".2f", better=DOWN)
    yield Metric("perplexity_stderr", "its standard error", "±", form=".2f", gate=False)
    yield Metric("perplexity_ratio", "perplexity, ratio to float32", "ratio", form=".4f", better=DOWN, stderr=True)
    yield Metric(
        "text_perplexity_ratio", "the same of the text model's core", "text ratio", form=".4f", better=DOWN, stderr=True
    )
    yield Metric("bits_per_byte", "bits per byte", "bits/B", form=".3f", better=DOWN)
    yield Metric("top1_agreement", "top-1 agreement with float32", "top-1", form=".3f", better=UP)
    yield Metric("kl_divergence", "KL divergence from float32, mean", "KL", " nats", ".2g", DOWN)
    yield Metric("kl_divergence_p99", "the same, 99th percentile", "KL p99", " nats", ".2g", DOWN)
    yield Metric("accepted_words_1", "next word right", "next word", " of places", ".3f", UP, stderr=True)
    yield Metric("accepted_words_2", "next two words right", unit=" of places", better=UP, stderr=True)
    yield Metric("accepted_words_3", "next three words right", unit=" of places", better=UP, stderr=True)
    yield Metric("keystrokes_saved", "keystrokes saved", "keys saved", " of all", ".3f", UP, stderr=True)
    yield Metric("greedy_match", "greedy text equal to Keras", "= Keras", " of prompts", ".2f", UP)
    yield Metric(
        "tokens_greedy_match", "greedy ids of the tokens model equal to the core's", unit=" of prompts", better=UP
    )
    yield Metric(
        "text_greedy_match", "greedy text of the text model equal to its core's", unit=" of prompts", better=UP
    )
    yield Metric("portable_greedy_match", "greedy text of the portable model in LiteRT", unit=" of prompts", better=UP)
    yield Metric("portable_tf_greedy_match", "greedy text of the portable model in TF", unit=" of prompts", better=UP)
    yield Metric("tokenizer_match", "texts of the same ids in every tokenizer", unit=" of texts", better=UP)
    yield Metric("android_contract", "rules of the Android demo app that hold")
    yield Metric("portable_contract", "rules of the portable model that hold")
    yield Metric(
        "context_words_p50", "words that fill the context window in half of the texts", unit=" words", better=UP
    )
    yield Metric("context_words_p95", "words that fill the context window in 95 % of them", unit=" words", better=UP)
    for prompts, kind in (("provoked", "provoking"), ("ordinary", "ordinary")):
        label = f"refused by a word list, {kind} prompts"
        yield Metric(f"{prompts}_refused", label, unit=" of answers", better=DOWN, stderr=True)
        yield Metric(f"{prompts}_unanswered", "the same in every try", unit=" of prompts", better=DOWN, stderr=True)


def _performance() -> Iterable[Metric]:
    yield Metric("ttft_ms", "time to first token", "TTFT ms", " ms", ".2f", DOWN, gate=False)
    yield Metric("prefill_tokens_per_s", "prefill", unit=" tokens/s", better=UP, gate=False)
    yield Metric("decode_tokens_per_s", "decode", "decode/s", " tokens/s", ".0f", UP, gate=False)
    yield Metric("decode_tokens_per_s_p90", "decode, the slowest tenth", unit=" tokens/s", better=UP, gate=False)
    for prefix, model, heading in (
        ("", "text", "text s"),
        ("tokens_", "tokens", "tokens s"),
        ("portable_", "portable", "portable s"),
    ):
        label = f"answer of 100 tokens, {model} model"
        yield Metric(f"{prefix}latency_100_tokens_s", label, heading, " s", ".3f", DOWN, gate=False)
    label = "peak memory of the core above an empty interpreter"
    yield Metric("peak_rss_mib", label, "RSS MiB", " MiB", ".1f", DOWN, gate=False)


def _sizes() -> Iterable[Metric]:
    yield Metric("text_mb", "size of autocomplete.tflite", "text MB", " MB", ".2f", DOWN, gate=False)
    yield Metric("core_mb", "size of core.tflite", "core MB", " MB", ".2f", DOWN, gate=False)


QUALITY, PERFORMANCE, SIZES = ({m.key: m for m in listed()} for listed in (_quality, _performance, _sizes))
METRICS = QUALITY | PERFORMANCE | SIZES
GATES = tuple(m.key for m in METRICS.values() if m.gate)
# Metrics that a sweep may rank jobs by, or bound by a number.
RANKED = tuple(sorted(m.key for m in METRICS.values() if m.better))


def columns() -> list[Metric]:
    """The metrics of the summary's table, in order: sizes, quality, speed and memory."""
    ordered = [*SIZES.values(), *QUALITY.values(), *PERFORMANCE.values()]
    return [m for m in ordered if m.heading]


def significant(value: float, digits: int = 6) -> float:
    """A number rounded to a number of significant digits."""
    return float(f"{value:.{digits}g}")


def rounded(values: Mapping[str, float | None], digits: int = 6) -> MetricValues:
    """Metrics as their JSON file holds them, with a number of significant digits."""
    return {key: None if value is None else significant(value, digits) for key, value in values.items()}


def require(key: str, allowed: Iterable[str], setting: str) -> None:
    """Raises UserError, naming the setting, for a metric that is not one of those allowed."""
    if key not in allowed:
        raise UserError(f"{setting}: no metric {key!r}; allowed: {', '.join(allowed)}")
