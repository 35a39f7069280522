"""Manifests of bundles that no pipeline made."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autocomplete.bundle import manifest
from autocomplete.bundle.contract import Manifest, Signature, TfliteModel
from helpers import records

EMPTY = TfliteModel(
    signatures={"decode": Signature(inputs={}, outputs={})},
    builtin_operators=[],
    select_tf_operators=[],
    custom_operators=[],
    runtime="any",
)


def manifest_of(
    folder: Path, mode: str = "float32", models: Mapping[str, TfliteModel] | None = None, **records_by_name: Any
) -> Manifest:
    """The manifest of the files in a folder.

    Args:
      folder: a bundle's.
      mode: of quantization.
      models: describes each .tflite file; the default is two files without inputs and outputs.
      records_by_name: records of earlier stages, by the names in `manifest.Records`; the others are made up.
    """
    defaults = manifest.Records(
        records.model(),
        records.conversion(),
        records.recipe(mode),
        records.measured(mode=mode),
        records.performance(),
        {},
        records.gates(mode),
    )
    names, stage_records = manifest.Names("toy", "Toy", "en"), dataclasses.replace(defaults, **records_by_name)
    return manifest.build(
        names, stage_records, models or dict.fromkeys(("core.tflite", "tokens.tflite"), EMPTY), folder
    )
