"""manifest.json: what a bundle holds, what its models take and give, and what was measured."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autocomplete.bundle import integrity, schemas
from autocomplete.common.errors import UserError
from autocomplete.common.files import sha256, write_json

SCHEMA_VERSION = 3
SCHEMA = Path(__file__).with_name("manifest.schema.json")
PORTABLE = "portable.tflite"
FILE, CARD, LITERT_LM = "manifest.json", "MODEL_CARD.md", "autocomplete.litertlm"
NOT_LISTED = {FILE, integrity.FILE, integrity.SIGNATURE}
TOOLS = ("keras-hub", "keras", "tensorflow", "ai-edge-quantizer", "ai-edge-litert", "tokenizers")


@dataclass(frozen=True)
class Facts:
    """What earlier stages found out: the contents of their JSON files."""

    model: Mapping[str, Any]
    conversion: Mapping[str, Any]
    recipe: Mapping[str, Any]
    metrics: Mapping[str, Any]
    performance: Mapping[str, Any]
    targets: Mapping[str, Any]


@dataclass(frozen=True)
class Names:
    """What a bundle is called: the name in paths, the title for people, and the language of its text."""

    name: str
    title: str
    language: str


def build(names: Names, facts: Facts, models: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The manifest of a bundle whose other files are in `folder`; `models` describes each .tflite file."""
    conversion = facts.conversion
    sampler = {k: conversion[k] for k in ("sampler", "top_k", "top_p", "temperature", "seed")}
    lengths = {k: conversion[k] for k in ("sequence_length", "context_window", "cache_length", "max_output_bytes")}
    if PORTABLE in models:
        lengths["portable_prompt_bytes"] = conversion["portable_prompt_bytes"]
    refused = [g["name"] for g in facts.metrics["gates"] if not g["passed"]]
    return {
        "schema_version": SCHEMA_VERSION,
        **asdict(names),
        "release": None,
        "mode": facts.recipe["mode"],
        "model": dict(facts.model),
        "lengths": lengths,
        "context_window": context_window(conversion, facts.metrics),
        "sampler": sampler,
        "suppress_tokens": list(conversion["suppress_tokens"]),
        "complete_word": conversion["complete_word"],
        "models": dict(models),
        "litert_lm": litert_lm(facts.model, conversion) if (folder / LITERT_LM).exists() else None,
        "recipe": facts.recipe["recipe"],
        "text_recipe": facts.recipe["text_recipe"],
        "metrics": dict(facts.metrics),
        "performance": dict(facts.performance),
        "targets": dict(facts.targets),
        "failed_gates": refused,
        "versions": {package: importlib.metadata.version(package) for package in TOOLS},
        "files": files(folder),
    }


def context_window(conversion: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """How much of the text typed so far to hand over: the files read its last tokens, an app counts words.

    In words: the default fills the window in half of the held-out texts, the maximum in 95 % of them; what is more, the
    model leaves out by itself.
    """
    tokens, words = int(conversion["context_window"]), {p: int(metrics[f"context_words_p{p}"]) for p in ("50", "95")}
    return {
        "tokens": {"minimum": 1, "default": tokens, "maximum": tokens},
        "words": {"minimum": 1, "default": max(words["50"], 1), "maximum": max(words["95"], 1)},
    }


def litert_lm(model: Mapping[str, Any], conversion: Mapping[str, Any]) -> dict[str, Any]:
    """What autocomplete.litertlm tells LiteRT-LM."""
    start = model["start_token_id"] if model["add_start_token"] else None
    return {
        "max_num_tokens": conversion["cache_length"],
        "start_token_id": start,
        "stop_token_ids": list(model["end_token_ids"]),
        "suppress_token_ids": list(conversion["suppress_tokens"]),
    }


def check(manifest: Any) -> None:
    """Raises UserError with the first place where a manifest does not follow its schema."""
    schemas.check(FILE, SCHEMA, manifest)


def check_files(manifest: Mapping[str, Any], folder: Path, hashes: Mapping[str, str]) -> None:
    """Raises UserError where the files of a folder, whose hashes are known, are not those of its manifest."""
    there = {name: _file(folder / name, known) for name, known in hashes.items() if name not in NOT_LISTED}
    for name in sorted(there.keys() ^ manifest["files"].keys()):
        place = "in the folder alone" if name in there else f"in {FILE} alone"
        raise UserError(f"{folder / name} is {place}: fetch the bundle again")
    for name, known in there.items():
        if known != manifest["files"][name]:
            raise UserError(f"{folder / name} is not the file that {FILE} describes: fetch the bundle again")


def files(folder: Path, known: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Hash and size of every file in a folder but the manifest and what is made of it, by its path there.

    What is known of a file already is taken as it is.
    """
    paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    names = sorted(paths.keys() - NOT_LISTED)
    return {name: (known or {}).get(name) or _file(paths[name], sha256(paths[name])) for name in names}


def seal(content: dict[str, Any], folder: Path, known: Mapping[str, Any]) -> None:
    """Writes what is made of a bundle's other files: manifest.json and SHA256SUMS; some files are known already."""
    content["files"] = files(folder, known)
    check(content)
    write_json(folder / FILE, content)
    integrity.write(folder, {name: file["sha256"] for name, file in content["files"].items()})


def _file(path: Path, digest: str) -> dict[str, Any]:
    return {"sha256": digest, "bytes": path.stat().st_size}
