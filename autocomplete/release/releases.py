"""index.json: the releases below a plain address, for teams without DVC."""

import json
from typing import Literal

from autocomplete.common.errors import UserError
from autocomplete.common.records import Inside, Record, Sha256
from autocomplete.release.versions import AvailableReleases

NAME = "autocomplete"  # of the bundles that this project releases and pulls
FOLDER, FILE = f"releases/{NAME}", "index.json"  # below the address that a release is written to


class ReleasedBundle(Record):
    """A bundle of a mode."""

    path: Inside
    """below the folder of the index"""
    sha256sums: Sha256
    """the SHA-256 of the bundle's SHA256SUMS"""


class ReleasedVersion(Record):
    """A version: the git commit that its bundles were made from, and the bundles by mode."""

    revision: str
    modes: dict[str, ReleasedBundle]


class Index(Record):
    """The content of index.json: the versions, their bundles, and which version has a release stage."""

    schema_version: Literal[1]
    name: str
    """of the bundles"""
    stages: dict[str, dict[str, str]]
    """release stage → mode → version"""
    versions: dict[str, ReleasedVersion]


def parse(content: bytes, file: str) -> Index:
    """Reads an index that was downloaded; raises UserError, naming the file, for anything else."""
    try:
        decoded = json.loads(content)
    except (ValueError, RecursionError):
        raise UserError(f"{file} is no JSON: not the index of releases; check the address") from None
    index = Index.parse(decoded, file)
    if index.name != NAME:
        raise UserError(
            f"{file}: $.name: {index.name!r} is not {NAME!r}: the index of other bundles; check the address"
        )
    return index


def available(index: Index, mode: str, source: str) -> AvailableReleases:
    """Returns the releases of a mode that an index lists; `source` names the index in messages."""
    stages = {stage: versions[mode] for stage, versions in index.stages.items() if mode in versions}
    modes = {name for version in index.versions.values() for name in version.modes}
    versions_of_mode = [name for name, version in index.versions.items() if mode in version.modes]
    return AvailableReleases(source, versions_of_mode, stages, sorted(modes))
