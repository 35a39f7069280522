"""manifest.json: what a bundle holds, the interface of its models, and what was measured."""

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
NOT_LISTED = {FILE, integrity.FILE, integrity.SIGNATURE}  # they are made of the other files
TOOLS = ("keras-hub", "keras", "tensorflow", "litert-quantizer", "ai-edge-litert", "tokenizers")


@dataclass(frozen=True)
class Records:
    """The records of earlier stages about a mode."""

    model: ModelDescription
    conversion: Conversion
    recipe: ModeRecipe
    metrics: Metrics
    performance: Performance
    targets: Targets
    gates: Gates

    @classmethod
    def read(cls, author: Path, convert: Path, mode_folders: Mapping[str, Path]) -> "Records":
        """Reads them from the folders of author and convert, and from a mode's folders by the stage's name."""
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
    """How much of the text typed so far an app gives to a model, in tokens and in words.

    In words, the default fills the window in half of the held-out texts, the maximum in 95 % of them. A model leaves
    out what is too long by itself.
    """
    tokens = conversion.context_window
    half, most = (int(metrics.value(f"context_words_p{p}") or 0) for p in (50, 95))
    return ContextWindow(
        tokens=Range(minimum=1, default=tokens, maximum=tokens),
        words=Range(minimum=1, default=max(half, 1), maximum=max(most, 1)),
    )


def litert_lm(model: ModelDescription, conversion: Conversion) -> LitertLm:
    """The settings of LiteRT-LM that autocomplete.litertlm holds."""
    return LitertLm(
        max_num_tokens=conversion.cache_length,
        start_token_id=model.start,
        stop_token_ids=model.end_token_ids,
        suppress_token_ids=conversion.suppress_tokens,
    )


def check_files(manifest: Manifest, folder: Path, hashes: Mapping[str, str]) -> None:
    """Raises UserError if the files of a folder, whose hashes by path are given, are not those of its manifest."""
    existing = {name: _file(folder / name, digest) for name, digest in hashes.items() if name not in NOT_LISTED}
    for name in sorted(existing.keys() ^ manifest.files.keys()):
        place = "in the folder alone" if name in existing else f"in {FILE} alone"
        raise UserError(f"{folder / name} is {place}: fetch the bundle again")
    for name, file in existing.items():
        if file != manifest.files[name]:
            raise UserError(f"{folder / name} is not the file that {FILE} describes: fetch the bundle again")


def files(folder: Path, known_files: Mapping[str, BundleFile] | None = None) -> dict[str, BundleFile]:
    """Hash and size of every file that the manifest lists, by its path; `known_files` are not hashed again."""
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    names = sorted(paths.keys() - NOT_LISTED)
    return {name: (known_files or {}).get(name) or _file(paths[name], sha256(paths[name])) for name in names}


def seal(manifest: Manifest, folder: Path, known_files: Mapping[str, BundleFile]) -> None:
    """Writes manifest.json and SHA256SUMS of a bundle's other files; `known_files` are not hashed again."""
    sealed = manifest.model_copy(update={"files": files(folder, known_files)})
    Manifest.parse(sealed.model_dump(mode="json"), FILE)
    sealed.write(folder / FILE)
    integrity.write(folder, {name: file.sha256 for name, file in sealed.files.items()})


def _file(path: Path, digest: str) -> BundleFile:
    return BundleFile(sha256=digest, bytes=path.stat().st_size)
