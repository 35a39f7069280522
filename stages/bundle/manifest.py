"""manifest.json: what a bundle holds, what its models take and give, and what was measured."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.files import sha256

SCHEMA_VERSION = 1
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


def build(name: str, facts: Facts, models: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The manifest of a bundle whose other files are in `folder`; `models` describes each .tflite file."""
    conversion = facts.conversion
    sampler = {k: conversion[k] for k in ("sampler", "top_k", "top_p", "temperature", "seed")}
    lengths = {k: conversion[k] for k in ("sequence_length", "context_window", "cache_length", "max_output_bytes")}
    refused = [g["name"] for g in facts.metrics["gates"] if not g["passed"]]
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "mode": facts.recipe["mode"],
        "model": dict(facts.model),
        "lengths": lengths,
        "sampler": sampler,
        "models": dict(models),
        "recipe": facts.recipe["recipe"],
        "text_recipe": facts.recipe["text_recipe"],
        "metrics": dict(facts.metrics),
        "performance": dict(facts.performance),
        "targets": dict(facts.targets),
        "failed_gates": refused,
        "versions": {package: importlib.metadata.version(package) for package in TOOLS},
        "files": files(folder),
    }


def files(folder: Path) -> dict[str, dict[str, Any]]:
    """Hash and size of every file in a folder, by its path there."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): {"sha256": sha256(p), "bytes": p.stat().st_size} for p in paths}
