"""index.json: the releases below a plain address, for teams without DVC."""

import json
from pathlib import Path
from typing import Any

from autocomplete.bundle import schemas
from autocomplete.common.errors import UserError
from autocomplete.release.versions import Offer

FOLDER, FILE = "releases/autocomplete", "index.json"  # below the address that a release is written to
SCHEMA = Path(__file__).with_name("index.schema.json")


def parse(content: bytes, name: str) -> dict[str, Any]:
    """The index from a file that came from elsewhere; raises UserError where it does not follow its schema."""
    try:
        index: dict[str, Any] = json.loads(content)
    except (ValueError, RecursionError):
        raise UserError(f"{name} is no JSON: not the index of releases; check the address") from None
    schemas.check(name, SCHEMA, index)
    return index


def offer(index: dict[str, Any], mode: str, source: str) -> Offer:
    """What an index has of a mode."""
    having = {version: release["modes"] for version, release in index["versions"].items()}
    stages = {stage: modes[mode] for stage, modes in index["stages"].items() if mode in modes}
    every = {name for modes in having.values() for name in modes}
    return Offer(source, [version for version, modes in having.items() if mode in modes], stages, sorted(every))
