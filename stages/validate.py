"""validate: measures the shipped files of one mode against the float32 core and Keras."""

import importlib.metadata
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autocomplete.common import artifacts, config, processes
from autocomplete.common.artifacts import (
    Conversion,
    FileTargets,
    Metrics,
    ModelDescription,
    Performance,
    Reference,
    Targets,
)
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing
from autocomplete.common.metrics import rounded
from autocomplete.common.native_log import quiet
from autocomplete.common.progress import step
from autocomplete.evaluate.filter_settings import WordFilterSettings
from autocomplete.evaluate.settings import LargeModelSettings

if TYPE_CHECKING:
    from autocomplete.evaluate.measurements import Measured, Texts
    from autocomplete.evaluate.mode_files import ModeFiles

AUTHOR, CONVERT, QUANTIZE = Path("artifacts/author"), Path("artifacts/convert"), Path("artifacts/quantize")
REFERENCE, OUT = Path("artifacts/reference"), Path("artifacts/validate")


@dataclass(frozen=True)
class ValidateSettings:
    """What is measured, and how much of it (params.yaml and conf/validate/*.yaml)."""

    mode: str
    evaluation_text: str
    provoking_prompts: str
    windows: int
    texts: int
    cuts_per_text: int
    timing_repeats: int
    latency_runs: int
    latency_attempts: int
    full_length: int
    threads: int
    large: LargeModelSettings
    filter: WordFilterSettings

    def scaled(self, parameters: int) -> "ValidateSettings":
        """The settings for a model of so many parameters: each token of a large one takes longer."""
        counts = ("windows", "texts", "latency_attempts")
        scaled: dict[str, Any] = {name: self.large.scaled(getattr(self, name), parameters) for name in counts}
        return replace(self, **scaled)

    def __post_init__(self) -> None:
        """Refuses counts that measure nothing."""
        for key in ("windows", "texts", "cuts_per_text", "timing_repeats", "latency_runs", "threads"):
            if getattr(self, key) < 1:
                raise UserError(f"validate.{key} is {getattr(self, key)}; allowed: at least 1")


def run(settings: ValidateSettings) -> None:
    """Artifacts of author, convert, quantize and reference → metrics.json, performance.json, targets.json of a mode."""
    from autocomplete.data import evaluation_text

    provoking = evaluation_text.read_prompts(Path(settings.provoking_prompts), "validate.provoking_prompts")
    documents = evaluation_text.read_documents(Path(settings.evaluation_text), "validate.evaluation_text")
    model = ModelDescription.read(AUTHOR / artifacts.MODEL)
    conversion = Conversion.read(CONVERT / artifacts.CONVERSION)
    settings = settings.scaled(model.parameters)
    provoking = provoking[: settings.large.scaled(len(provoking), model.parameters)]
    processes.before_forking()
    with quiet():
        from autocomplete.evaluate import benchmark_lock, completion, measurements, targets
        from autocomplete.evaluate.mode_files import ModeFiles, text_core
        from autocomplete.tokenizer import tokenizer
    bpe, boundary_tokens = tokenizer.from_preset(AUTHOR), evaluation_text.BoundaryTokens.from_description(model)
    windows = evaluation_text.windows(documents, bpe, boundary_tokens, conversion.cache_length, settings.windows)
    places = completion.cuts(documents, settings.texts, settings.cuts_per_text)
    texts = measurements.Texts(windows, places, provoking, Reference.read(REFERENCE / artifacts.REFERENCE))
    shipped = QUANTIZE / settings.mode
    fits = {p.name: targets.check(p) for p in sorted(shipped.glob("*.tflite"))}
    with tempfile.TemporaryDirectory() as temporary:
        core = text_core(shipped, CONVERT, Path(temporary))
    # one thread, as threads of small models wait for one another in loops, and other parts have the cores too
    mode = ModeFiles(AUTHOR, CONVERT, bpe, model, conversion, threads=1, shipped=shipped, text_core=core)
    count = benchmark_lock.share_of_cores(settings.threads)
    measured = measurements.measure(mode, texts, settings.filter, fits, count)
    metrics = _metrics(settings, texts, measured)
    performance = _time(replace(mode, threads=settings.threads), texts.reference.prompts, settings)
    with replacing(OUT / settings.mode) as folder:
        FileTargets(targets=fits).write(folder / artifacts.TARGETS)
        metrics.write(folder / artifacts.METRICS)
        performance.write(folder / artifacts.PERFORMANCE)
    _show(settings.mode, fits)
    print(f"{settings.mode}: processor seconds of each part: {_listed(measured.seconds)}")


def _metrics(settings: ValidateSettings, texts: "Texts", measured: "Measured") -> Metrics:
    """metrics.json: what was measured, the contracts that hold, and how answers were filtered."""
    from autocomplete.evaluate import word_filter

    content = {
        "mode": settings.mode,
        "filter": {
            "package": word_filter.PACKAGE,
            "version": importlib.metadata.version(word_filter.PACKAGE),
            **asdict(settings.filter),
            "provoked_prompts": len(texts.provoking_prompts),
            "ordinary_prompts": len(texts.reference.prompts),
        },
        **measured.contracts,
        **rounded(measured.values),
    }
    return Metrics.parse(content, artifacts.METRICS)


def _listed(seconds: Mapping[str, float]) -> str:
    longest_first = sorted(seconds.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value:.1f}" for name, value in longest_first)


def _time(mode: "ModeFiles", prompts: Sequence[str], settings: ValidateSettings) -> Performance:
    """Timings of the shipped files, while no other process of this project measures on the machine."""
    from autocomplete.evaluate import benchmark, benchmark_lock

    timing = benchmark.TimingSettings(
        settings.timing_repeats, settings.latency_runs, settings.latency_attempts, settings.full_length
    )
    with (
        benchmark_lock.exclusive(),
        step(f"{mode.shipped.name}: speed and memory of the files, with the machine to itself"),
    ):
        return benchmark.measure(mode, prompts, timing)


def _show(mode: str, fits: Targets) -> None:
    """Prints which targets each file fits."""
    for name, by_target in fits.items():
        print(f"{mode}: {name} fits {', '.join(t for t, fit in by_target.items() if fit.fits) or 'no target'}")


if __name__ == "__main__":
    config.main("validate", ValidateSettings, run)
