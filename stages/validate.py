"""validate: measures the shipped files of one mode against the float32 core and Keras."""

import importlib.metadata
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocomplete.common import artifacts, config
from autocomplete.common.artifacts import Conversion, FileTargets, Metrics, ModelDescription, Performance, Targets
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing
from autocomplete.common.metrics import MetricValues, rounded
from autocomplete.common.native_log import quiet

if TYPE_CHECKING:
    from autocomplete.common.arrays import Array
    from autocomplete.evaluate.completion import Cut
    from autocomplete.evaluate.mode_files import ModeFiles

AUTHOR, CONVERT, QUANTIZE = Path("artifacts/author"), Path("artifacts/convert"), Path("artifacts/quantize")
OUT = Path("artifacts/validate")


@dataclass(frozen=True)
class WordFilterSettings:
    """The filter on answers.

    Attributes:
      languages: of its word lists.
      tries: how often an app asks.
      seed: draws the answers.
    """

    languages: list[str]
    tries: int
    seed: int

    def __post_init__(self) -> None:
        """Refuses languages without a list, before anything is loaded."""
        from autocomplete.evaluate import word_filter

        word_filter.check_languages(self.languages, "validate.filter.languages")
        for key, least, most in (("tries", 1, 100), ("seed", 0, 10**9)):
            if not least <= getattr(self, key) <= most:
                raise UserError(f"validate.filter.{key} is {getattr(self, key)}; allowed: {least} to {most}")


@dataclass(frozen=True)
class LargeModelSettings:
    """A model of more `parameters` is measured on this `share` of all that is counted."""

    parameters: int
    share: float

    def __post_init__(self) -> None:
        """Refuses a share that measures nothing, or more than there is."""
        if not 0 < self.share <= 1:
            raise UserError(f"validate.large.share is {self.share}; allowed: above 0, at most 1")

    def scaled(self, count: int, parameters: int) -> int:
        """A count as it is for a model of so many parameters."""
        return max(1, round(count * self.share)) if parameters > self.parameters else count


@dataclass(frozen=True)
class ValidateSettings:
    """What is measured, and how much of it (params.yaml and conf/validate/*.yaml)."""

    mode: str
    evaluation_text: str
    provoking_prompts: str
    windows: int
    parity_windows: int
    texts: int
    cuts_per_text: int
    prompts: int
    prompt_tokens: int
    timing_repeats: int
    latency_runs: int
    latency_attempts: int
    full_length: int
    threads: int
    large: LargeModelSettings
    filter: WordFilterSettings

    def scaled(self, parameters: int) -> "ValidateSettings":
        """The settings for a model of so many parameters: each token of a large one takes longer."""
        counts = ("windows", "parity_windows", "texts", "prompts", "latency_attempts")
        scaled: dict[str, Any] = {name: self.large.scaled(getattr(self, name), parameters) for name in counts}
        return replace(self, **scaled)

    def __post_init__(self) -> None:
        """Refuses counts that measure nothing."""
        counts = ("windows", "parity_windows", "texts", "cuts_per_text", "prompts", "timing_repeats", "latency_runs")
        for key in (*counts, "threads"):
            if getattr(self, key) < 1:
                raise UserError(f"validate.{key} is {getattr(self, key)}; allowed: at least 1")
        if self.prompt_tokens < 2:
            raise UserError(f"validate.prompt_tokens is {self.prompt_tokens}; allowed: at least 2")


@dataclass(frozen=True)
class Texts:
    """What a mode is measured on: documents, windows of ids `[n, slots]`, places to suggest at, and prompts."""

    documents: list[str]
    windows: "Array"
    places: Sequence["Cut"]
    ordinary_prompts: list[str]
    provoking_prompts: list[str]


def run(settings: ValidateSettings) -> None:
    """Artifacts of author, convert and quantize → metrics.json, performance.json and targets.json of one mode."""
    from autocomplete.data import evaluation_text

    provoking = evaluation_text.read_prompts(Path(settings.provoking_prompts), "validate.provoking_prompts")
    documents = evaluation_text.read_documents(Path(settings.evaluation_text), "validate.evaluation_text")
    model = ModelDescription.read(AUTHOR / artifacts.MODEL)
    conversion = Conversion.read(CONVERT / artifacts.CONVERSION)
    settings = settings.scaled(model.parameters)
    provoking = provoking[: settings.large.scaled(len(provoking), model.parameters)]

    with quiet():
        from autocomplete.evaluate import completion, targets
        from autocomplete.evaluate.mode_files import ModeFiles, text_core
        from autocomplete.tokenizer import tokenizer
    bpe, boundary_tokens = tokenizer.from_preset(AUTHOR), evaluation_text.BoundaryTokens.from_description(model)
    windows = evaluation_text.windows(documents, bpe, boundary_tokens, conversion.cache_length, settings.windows)
    prompts = evaluation_text.completion_prompts(documents, bpe, settings.prompt_tokens, settings.prompts)
    places = completion.cuts(documents, settings.texts, settings.cuts_per_text)
    texts = Texts(documents, windows, places, prompts, provoking)
    shipped = QUANTIZE / settings.mode
    with tempfile.TemporaryDirectory() as temporary:
        core = text_core(shipped, CONVERT, Path(temporary))
        # one thread, as threads of small models wait for one another in loops, and other work has the cores too
        mode = ModeFiles(AUTHOR, shipped, CONVERT, core, bpe, model, conversion, threads=1)
        values = _measure(mode, texts, settings, Path(temporary))
    fits = {p.name: targets.check(p) for p in sorted(shipped.glob("*.tflite"))}
    metrics = _metrics(mode, texts, settings, values, fits)
    performance = _time(replace(mode, threads=settings.threads), prompts, settings)
    with replacing(OUT / settings.mode) as folder:
        FileTargets(targets=fits).write(folder / artifacts.TARGETS)
        metrics.write(folder / artifacts.METRICS)
        performance.write(folder / artifacts.PERFORMANCE)
    _show(settings.mode, fits)


def _measure(mode: "ModeFiles", texts: Texts, settings: ValidateSettings, folder: Path) -> MetricValues:
    """Quality of the shipped files, against the float32 core and Keras; `folder` takes what is made for it."""
    with quiet():
        from autocomplete.evaluate import (
            benchmark_lock,
            completion,
            greedy,
            parity,
            perplexity,
            tokenization,
            word_filter,
        )
        from autocomplete.presets import keras_preset

        keras = keras_preset.load(AUTHOR)
    processes = benchmark_lock.share_of_cores(settings.threads)
    # metrics.json holds them in this order
    values: MetricValues = {**completion.context_words(texts.documents, mode.bpe, mode.conversion.context_window)}
    values |= tokenization.measure(mode, texts.documents, folder)
    values |= parity.measure(mode, keras, texts.windows[: settings.parity_windows])
    values |= perplexity.measure(mode, texts.windows, processes)
    values |= completion.measure_tokens_model(mode, texts.places)
    values |= greedy.match_keras(mode, keras, texts.ordinary_prompts)
    values |= greedy.match_text(mode, texts.ordinary_prompts, folder)
    values |= greedy.match_portable(mode, texts.ordinary_prompts)
    refuses = word_filter.word_filter(settings.filter.languages)
    prompts = {"provoked": texts.provoking_prompts, "ordinary": texts.ordinary_prompts}
    values |= word_filter.measure_tokens_model(mode, prompts, refuses, settings.filter.tries, settings.filter.seed)
    return rounded(values)


def _metrics(
    mode: "ModeFiles", texts: Texts, settings: ValidateSettings, values: MetricValues, fits: Targets
) -> Metrics:
    """metrics.json: what was measured, the contracts that hold, and how answers were filtered."""
    from autocomplete.evaluate import contracts, word_filter

    content = {
        "mode": settings.mode,
        "filter": {
            "package": word_filter.PACKAGE,
            "version": importlib.metadata.version(word_filter.PACKAGE),
            **asdict(settings.filter),
            "provoked_prompts": len(texts.provoking_prompts),
            "ordinary_prompts": len(texts.ordinary_prompts),
        },
        "android_contract": contracts.check_android(mode, texts.ordinary_prompts, fits),
        "portable_contract": contracts.check_portable(mode, texts.ordinary_prompts),
        **values,
    }
    return Metrics.parse(content, artifacts.METRICS)


def _time(mode: "ModeFiles", prompts: Sequence[str], settings: ValidateSettings) -> Performance:
    """Timings of the shipped files, while no other process of this project measures on the machine."""
    from autocomplete.evaluate import benchmark, benchmark_lock

    timing = benchmark.TimingSettings(
        settings.timing_repeats, settings.latency_runs, settings.latency_attempts, settings.full_length
    )
    with benchmark_lock.exclusive():
        return benchmark.measure(mode, prompts, timing)


def _show(mode: str, fits: Targets) -> None:
    """Prints which targets each file fits."""
    for name, by_target in fits.items():
        print(f"{mode}: {name} fits {', '.join(t for t, fit in by_target.items() if fit.fits) or 'no target'}")


if __name__ == "__main__":
    config.main("validate", ValidateSettings, run)
