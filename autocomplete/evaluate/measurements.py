"""What is measured of a mode, in parts that run beside each other, one thread each."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.artifacts import Reference, Targets
from autocomplete.common.metrics import MetricValues
from autocomplete.common.processes import Result, run_parts
from autocomplete.evaluate import completion, contracts, greedy, perplexity, word_filter
from autocomplete.evaluate.completion import Cut
from autocomplete.evaluate.filter_settings import WordFilterSettings
from autocomplete.evaluate.mode_files import ModeFiles
from autocomplete.runtime import interpreters


@dataclass(frozen=True)
class Texts:
    """What a mode is measured on.

    Attributes:
      windows: ids `[n, slots]`.
      places: where the model suggests.
      provoking_prompts: beginnings that bad words often follow.
      reference: of all modes, with the ordinary prompts.
    """

    windows: Array
    places: Sequence[Cut]
    provoking_prompts: list[str]
    reference: Reference


@dataclass(frozen=True)
class Measured:
    """What was measured of a mode.

    Attributes:
      values: metrics by key, in the order of metrics.json.
      contracts: the rules of apps that hold, by the contract's key; None for a mode without the model.
      seconds: that each part took.
    """

    values: MetricValues
    contracts: dict[str, dict[str, bool] | None]
    seconds: dict[str, float]


def measure(mode: ModeFiles, texts: Texts, filtering: WordFilterSettings, fits: Targets, processes: int) -> Measured:
    """Measures the shipped files against the float32 core and Keras; `fits` is what targets.check says of each."""
    prompts = texts.reference.prompts
    parts = _parts(mode, texts, filtering, processes) | {
        "android_contract": partial(contracts.check_android, mode, prompts, fits),
        "portable_contract": partial(contracts.check_portable, mode, prompts),
    }
    results = run_parts(f"validate {mode.shipped.name}", parts, processes)
    values = {name: result.value for name, result in results.items()}
    return Measured(
        _metrics(mode, texts, values),
        {name: values[name] for name in ("android_contract", "portable_contract")},
        _seconds(results),
    )


def _parts(mode: ModeFiles, texts: Texts, filtering: WordFilterSettings, count: int) -> dict[str, Callable[[], Any]]:
    """The parts by name, the longest first; the longest are cut into a piece for each of `count` processes."""
    asked = texts.reference.prompts, texts.reference.continuations
    kinds = {"provoked": texts.provoking_prompts, "ordinary": texts.reference.prompts}
    rules = filtering.languages, filtering.tries, filtering.seed
    return {
        "text greedy": partial(greedy.match_text, mode, *asked),
        "portable greedy in TF": partial(greedy.match_portable, mode, *asked, interpreters.tensorflow),
        **{f"filter {k}": partial(word_filter.measure_tokens_model, mode, p, *rules) for k, p in kinds.items()},
        "portable greedy in LiteRT": partial(greedy.match_portable, mode, *asked, interpreters.litert),
        **{
            f"completion {number}": partial(completion.right_words_of, mode, places)
            for number, places in enumerate(_pieces(texts.places, count))
        },
        **{
            f"quality {number}": partial(perplexity.score_windows, mode, windows)
            for number, windows in enumerate(_pieces(texts.windows, count))
        },
        "tokens greedy": partial(greedy.match_tokens, mode, *asked),
        "core greedy": partial(greedy.match_core, mode, *asked),
    }


def _pieces(items: Any, count: int) -> list[Any]:
    """Items in at most `count` parts of like size, none of them empty."""
    bounds = np.linspace(0, len(items), min(count, len(items)) + 1).astype(int)
    return [items[begin:end] for begin, end in itertools.pairwise(bounds)]


def _metrics(mode: ModeFiles, texts: Texts, values: Mapping[str, Any]) -> MetricValues:
    """The metrics of all parts, in the order of metrics.json."""
    by_window = _joined(values, "quality")
    filtered = {f"{k}_{m}": v for k in ("provoked", "ordinary") for m, v in values[f"filter {k}"].items()}
    return {
        **texts.reference.values,
        **perplexity.metrics(mode, texts.windows, by_window),
        **completion.metrics(_joined(values, "completion"), texts.places),
        **values["core greedy"],
        **values["tokens greedy"],
        **values["text greedy"],
        "portable_greedy_match": values["portable greedy in LiteRT"],
        "portable_tf_greedy_match": values["portable greedy in TF"],
        **filtered,
    }


def _joined(values: Mapping[str, Any], prefix: str) -> list[Any]:
    """The lists of all pieces of a part, one behind the other."""
    return [item for name, part in values.items() if name.startswith(f"{prefix} ") for item in part]


def _seconds(results: Mapping[str, Result]) -> dict[str, float]:
    """The processor's seconds of each part, its pieces added up."""
    seconds: dict[str, float] = {}
    for name, result in results.items():
        part = name.rstrip("0123456789 ")
        seconds[part] = seconds.get(part, 0.0) + result.seconds
    return seconds
