"""manifest.json: what a bundle holds, what its models take and give, and what was measured."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autocomplete.bundle import contract, integrity
from autocomplete.bundle.contract import BundleFile, ContextWindow, LitertLm, Manifest, Range, TfliteModel
from autocomplete.common import artifacts
from autocomplete.common.artifacts import (
    Conversion,
    FileTargets,
    Gates,
    Metrics,
    ModelDescription,
    ModeRecipe,
    Performance,
    Targets,
)
from autocomplete.common.errors import UserError
from autocomplete.common.files import sha256

SCHEMA = Path(__file__).with_name("manifest.schema.json")
PORTABLE = "portable.tflite"
FILE, CARD, LITERT_LM = contract.FILE, "MODEL_CARD.md", "autocomplete.litertlm"
NOT_LISTED = {FILE, integrity.FILE, integrity.SIGNATURE}
TOOLS = ("keras-hub", "keras", "tensorflow", "litert-quantizer", "ai-edge-litert", "tokenizers")


@dataclass(frozen=True)
class Records:
    """What earlier stages noted about a mode."""

    model: ModelDescription
    conversion: Conversion
    recipe: ModeRecipe
    metrics: Metrics
    performance: Performance
    targets: Targets
    gates: Gates

    @classmethod
    def read(cls, author: Path, convert: Path, mode_folders: Mapping[str, Path]) -> "Records":
        """The records in the folders of author and convert, and of a mode in those of quantize, validate and judge."""
        validated = mode_folders["validate"]
        return cls(
            ModelDescription.read(author / artifacts.MODEL),
            Conversion.read(convert / artifacts.CONVERSION),
            ModeRecipe.read(mode_folders["quantize"] / artifacts.RECIPE),
            Metrics.read(validated / artifacts.METRICS),
            Performance.read(validated / artifacts.PERFORMANCE),
            FileTargets.read(validated / artifacts.TARGETS).targets,
            Gates.read(mode_folders["judge"] / artifacts.GATES),
        )


@dataclass(frozen=True)
class Names:
    """What a bundle is called: the name in paths, the title for people, and the language of its text."""

    name: str
    title: str
    language: str


def build(names: Names, records: Records, models: Mapping[str, TfliteModel], folder: Path) -> Manifest:
    """The manifest of a bundle whose other files are in `folder`; `models` describes each .tflite file."""
    conversion = records.conversion
    portable = conversion.portable_prompt_bytes if PORTABLE in models else None
    return Manifest(
        schema_version=contract.SCHEMA_VERSION,
        name=names.name,
        title=names.title,
        language=names.language,
        release=None,
        mode=records.recipe.mode,
        model=records.model,
        lengths=contract.Lengths(
            sequence_length=conversion.sequence_length,
            context_window=conversion.context_window,
            cache_length=conversion.cache_length,
            max_output_bytes=conversion.max_output_bytes,
            portable_prompt_bytes=portable,
        ),
        context_window=context_window(conversion, records.metrics),
        sampler=contract.Sampler(
            sampler=conversion.sampler,
            top_k=conversion.top_k,
            top_p=conversion.top_p,
            temperature=conversion.temperature,
            seed=conversion.seed,
        ),
        suppress_tokens=conversion.suppress_tokens,
        complete_word=conversion.complete_word,
        models=dict(models),
        litert_lm=litert_lm(records.model, conversion) if (folder / LITERT_LM).exists() else None,
        recipe=records.recipe.recipe,
        text_recipe=records.recipe.text_recipe,
        metrics=contract.JudgedMetrics(**records.metrics.model_dump(), gates=records.gates.gates),
        performance=records.performance,
        targets=records.targets,
        failed_gates=[gate.name for gate in records.gates.failed],
        versions={package: importlib.metadata.version(package) for package in TOOLS},
        files=files(folder),
    )


def context_window(conversion: Conversion, metrics: Metrics) -> ContextWindow:
    """How much of the text typed so far to hand over: the files read its last tokens, an app counts words.

    In words: the default fills the window in half of the held-out texts, the maximum in 95 % of them; what is more, the
    model leaves out by itself.
    """
    tokens, words = conversion.context_window, [int(metrics.value(f"context_words_p{p}") or 0) for p in (50, 95)]
    return ContextWindow(
        tokens=Range(minimum=1, default=tokens, maximum=tokens),
        words=Range(minimum=1, default=max(words[0], 1), maximum=max(words[1], 1)),
    )


def litert_lm(model: ModelDescription, conversion: Conversion) -> LitertLm:
    """What autocomplete.litertlm tells LiteRT-LM."""
    return LitertLm(
        max_num_tokens=conversion.cache_length,
        start_token_id=model.start,
        stop_token_ids=model.end_token_ids,
        suppress_token_ids=conversion.suppress_tokens,
    )


def check_files(manifest: Manifest, folder: Path, hashes: Mapping[str, str]) -> None:
    """Raises UserError where the files of a folder, whose hashes are known, are not those of its manifest."""
    there = {name: _file(folder / name, known) for name, known in hashes.items() if name not in NOT_LISTED}
    for name in sorted(there.keys() ^ manifest.files.keys()):
        place = "in the folder alone" if name in there else f"in {FILE} alone"
        raise UserError(f"{folder / name} is {place}: fetch the bundle again")
    for name, known in there.items():
        if known != manifest.files[name]:
            raise UserError(f"{folder / name} is not the file that {FILE} describes: fetch the bundle again")


def files(folder: Path, known: Mapping[str, BundleFile] | None = None) -> dict[str, BundleFile]:
    """Hash and size of every file in a folder but the manifest and what is made of it, by its path there.

    What is known of a file already is taken as it is.
    """
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    names = sorted(paths.keys() - NOT_LISTED)
    return {name: (known or {}).get(name) or _file(paths[name], sha256(paths[name])) for name in names}


def seal(manifest: Manifest, folder: Path, known: Mapping[str, BundleFile]) -> None:
    """Writes what is made of a bundle's other files: manifest.json and SHA256SUMS; some files are known already."""
    sealed = manifest.model_copy(update={"files": files(folder, known)})
    Manifest.parse(sealed.model_dump(mode="json"), FILE)
    sealed.write(folder / FILE)
    integrity.write(folder, {name: file.sha256 for name, file in sealed.files.items()})


def _file(path: Path, digest: str) -> BundleFile:
    return BundleFile(sha256=digest, bytes=path.stat().st_size)
