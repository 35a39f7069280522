"""validate: measures the shipped files of one mode against the float32 core and Keras."""

import importlib.metadata
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocomplete.common import artifacts, config
from autocomplete.common.artifacts import Conversion, FileTargets, Metrics, ModelDescription, Targets
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing
from autocomplete.common.native_log import quiet

if TYPE_CHECKING:
    from autocomplete.common.arrays import Array
    from autocomplete.evaluate.completion import Cut
    from autocomplete.evaluate.mode_files import Subject

AUTHOR, CONVERT, QUANTIZE = Path("artifacts/author"), Path("artifacts/convert"), Path("artifacts/quantize")
OUT = Path("artifacts/validate")


@dataclass(frozen=True)
class WordFilter:
    """The filter on answers: languages of its word lists, how often an app asks, the seed that draws the answers."""

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
class Large:
    """What a model of more `parameters` is measured on: a `share` of everything that is counted."""

    parameters: int
    share: float

    def __post_init__(self) -> None:
        """Refuses a share that measures nothing, or more than there is."""
        if not 0 < self.share <= 1:
            raise UserError(f"validate.large.share is {self.share}; allowed: above 0, at most 1")

    def of(self, count: int, parameters: int) -> int:
        """How many of so many are measured for a model of so many parameters."""
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
    large: Large
    filter: WordFilter

    def scaled(self, parameters: int) -> "ValidateSettings":
        """The settings for a model of so many parameters, whose every token takes longer."""
        counts = ("windows", "parity_windows", "texts", "prompts", "latency_attempts")
        fewer: dict[str, Any] = {name: self.large.of(getattr(self, name), parameters) for name in counts}
        return replace(self, **fewer)

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
    prompts: list[str]
    provoking: list[str]


def run(settings: ValidateSettings) -> None:
    """Artifacts of author, convert and quantize → metrics.json, performance.json and targets.json of one mode."""
    from autocomplete.data import evaluation_text

    provoking = evaluation_text.read_prompts(Path(settings.provoking_prompts), "validate.provoking_prompts")
    documents = evaluation_text.read_documents(Path(settings.evaluation_text), "validate.evaluation_text")
    shipped = QUANTIZE / settings.mode
    model = ModelDescription.read(AUTHOR / artifacts.MODEL)
    conversion = Conversion.read(CONVERT / artifacts.CONVERSION)
    settings = settings.scaled(model.parameters)
    provoking = provoking[: settings.large.of(len(provoking), model.parameters)]

    with quiet():
        from autocomplete.evaluate import benchmark, benchmark_lock, checks, completion, context, targets
        from autocomplete.evaluate.mode_files import Subject, text_core
        from autocomplete.tokenizer import tokenizer
    bpe = tokenizer.from_preset(AUTHOR)
    windows = evaluation_text.windows(
        documents,
        bpe,
        evaluation_text.BoundaryTokens.from_description(model),
        conversion.cache_length,
        settings.windows,
    )
    prompts = evaluation_text.completion_prompts(documents, bpe, settings.prompt_tokens, settings.prompts)
    places = completion.cuts(documents, settings.texts, settings.cuts_per_text)
    values: dict[str, Any] = {"mode": settings.mode}
    values |= context.words_that_fit(documents, bpe, conversion.context_window)
    with tempfile.TemporaryDirectory() as temporary:
        core = text_core(shipped, CONVERT, Path(temporary))
        # one thread, as threads of small models wait for one another in loops, and other work has the cores too
        subject = Subject(AUTHOR, shipped, CONVERT, core, bpe, model, conversion, threads=1)
        values |= _checked(subject, Texts(documents, windows, places, prompts, provoking), settings, Path(temporary))
    fits = {p.name: targets.check(p) for p in sorted(shipped.glob("*.tflite"))}
    values["android_contract"] = checks.android(subject, prompts, fits)
    values["portable_contract"] = checks.portable_contract(subject, prompts)
    with benchmark_lock.alone():
        measured = benchmark.measure(replace(subject, threads=settings.threads), prompts, settings)
    with replacing(OUT / settings.mode) as folder:
        FileTargets(targets=fits).write(folder / artifacts.TARGETS)
        Metrics.parse(values, artifacts.METRICS).write(folder / artifacts.METRICS)
        measured.write(folder / artifacts.PERFORMANCE)
    _show(settings.mode, fits)


def _checked(subject: "Subject", texts: Texts, settings: ValidateSettings, folder: Path) -> dict[str, Any]:
    """Quality of the shipped files, against the float32 core and Keras; `folder` takes what is made for it."""
    with quiet():
        from autocomplete.evaluate import benchmark_lock, checks
        from autocomplete.presets import keras_preset

        keras = keras_preset.load(AUTHOR)
    processes = benchmark_lock.share_of_cores(settings.threads)
    metrics: dict[str, Any] = dict(checks.tokenizer_match(subject, texts.documents, folder))
    metrics |= checks.measure_quality(subject, keras, texts.windows, settings.parity_windows, processes)
    metrics |= checks.autocomplete(subject, texts.places)
    metrics |= checks.greedy(subject, keras, texts.prompts)
    metrics |= checks.text_greedy(subject, texts.prompts, folder)
    metrics |= checks.portable_greedy(subject, texts.prompts)
    return metrics | filtered(subject, settings.filter, texts.provoking, texts.prompts)


def filtered(
    subject: "Subject", chosen: WordFilter, provoking: Sequence[str], ordinary: Sequence[str]
) -> dict[str, Any]:
    """How often the filter refuses the mode's answers, and what was asked of it."""
    from autocomplete.evaluate import checks, word_filter

    prompts = {"provoked": provoking, "ordinary": ordinary}
    rates = checks.filtered(subject, prompts, word_filter.word_filter(chosen.languages), chosen.tries, chosen.seed)
    counts = {f"{kind}_prompts": len(asked) for kind, asked in prompts.items()}
    package = {"package": word_filter.PACKAGE, "version": importlib.metadata.version(word_filter.PACKAGE)}
    return rates | {"filter": package | asdict(chosen) | counts}


def _show(mode: str, fits: Targets) -> None:
    """Prints which targets each file fits."""
    for name, checked in fits.items():
        print(f"{mode}: {name} fits {', '.join(t for t, c in checked.items() if c.fits) or 'no target'}")


if __name__ == "__main__":
    config.main("validate", ValidateSettings, run)
