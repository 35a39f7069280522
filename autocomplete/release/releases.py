"""index.json: the releases below a plain address, for teams without DVC."""

import json
from typing import Literal

from autocomplete.common.errors import UserError
from autocomplete.common.records import Inside, Record, Sha256
from autocomplete.release.versions import Offer

FOLDER, FILE = "releases/autocomplete", "index.json"  # below the address that a release is written to


class ReleasedBundle(Record):
    """A bundle of a mode."""

    path: Inside
    """below the folder of the index"""
    sha256sums: Sha256
    """the SHA-256 of the bundle's SHA256SUMS"""


class ReleasedVersion(Record):
    """A version: the git revision that it was made from, and its bundles by mode."""

    revision: str
    modes: dict[str, ReleasedBundle]


class Index(Record):
    """Which versions there are, of which modes, where, and which of them has a stage."""

    schema_version: Literal[1]
    name: Literal["autocomplete"]
    stages: dict[str, dict[str, str]]
    """stage → mode → version"""
    versions: dict[str, ReleasedVersion]


def parse(content: bytes, name: str) -> Index:
    """The index from a file that came from elsewhere; raises UserError where it is something else."""
    try:
        decoded = json.loads(content)
    except (ValueError, RecursionError):
        raise UserError(f"{name} is no JSON: not the index of releases; check the address") from None
    return Index.parse(decoded, name)


def offer(index: Index, mode: str, source: str) -> Offer:
    """What an index has of a mode."""
    stages = {stage: modes[mode] for stage, modes in index.stages.items() if mode in modes}
    every = {name for version in index.versions.values() for name in version.modes}
    having = [name for name, version in index.versions.items() if mode in version.modes]
    return Offer(source, having, stages, sorted(every))
