"""The release record, releases/<version>.json: what a version is made of, signed by its maker; and the index of all."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from autocomplete.bundle import signature
from autocomplete.common.errors import UserError
from autocomplete.common.records import Record
from autocomplete.release.releases import Index, ReleasedBundle, ReleasedVersion

FOLDER = Path("releases")
BUNDLES = FOLDER / "bundles"  # the bundles of the newest release, a folder a mode; DVC keeps them


class UnsignedRecord(Record):
    """What a version is made of."""

    schema_version: Literal[1] = 1
    name: str
    """of the bundles"""
    version: str
    revision: str
    """the git commit that the bundles were made from"""
    modes: dict[str, ReleasedBundle]

    def artifacts(self) -> dict[str, str]:
        """Returns the names of the bundles: artifact of DVC and GTO → mode."""
        return {artifact_name(self.name, mode): mode for mode in self.modes}


class ReleaseRecord(UnsignedRecord):
    """The content of releases/<version>.json."""

    signature: str
    """the Ed25519 signature, in base64, of the record without this key: JSON with sorted keys and without blanks"""


def path(version: str) -> Path:
    """Returns the path of a version's record in git."""
    return FOLDER / f"{version}.json"


def artifact_name(name: str, mode: str) -> str:
    """Returns what DVC, GTO and Maven call the bundle of a mode: GTO allows no underscores."""
    return f"{name}-{mode.replace('_', '-')}"


def name_and_modes(artifacts: Mapping[str, Path]) -> tuple[str, list[str]]:
    """Returns the name of a project's bundles, and their modes.

    Args:
      artifacts: name → folder, as dvc.yaml lists them.

    Raises:
      UserError: where an artifact is not `<name>-<mode>` at releases/bundles/<mode>, or none is listed.
    """
    names = {artifact.removesuffix(artifact_name("", folder.name)) for artifact, folder in artifacts.items()}
    for artifact, folder in artifacts.items():
        if len(names) != 1 or artifact in names or folder != BUNDLES / folder.name:
            rule = f"<name>-<mode, with dashes> at {BUNDLES}/<mode>, and one name for all"
            raise UserError(f"dvc.yaml: artifacts.{artifact} is at {folder}; wanted: {rule}")
    if not names:
        raise UserError("dvc.yaml lists no artifacts, so there is nothing to release")
    return names.pop(), sorted(folder.name for folder in artifacts.values())


def build(name: str, version: str, revision: str, sums: Mapping[str, str]) -> UnsignedRecord:
    """Makes a record without signature.

    Args:
      name: of the bundles.
      version: without `v`.
      revision: the git commit that the bundles were made from.
      sums: mode → SHA-256 of the bundle's SHA256SUMS.
    """
    modes = {mode: ReleasedBundle(path=f"{version}/{mode}", sha256sums=sums[mode]) for mode in sorted(sums)}
    return UnsignedRecord(name=name, version=version, revision=revision, modes=modes)


def sign(record: UnsignedRecord, key: Path) -> ReleaseRecord:
    """Signs a record by an Ed25519 private key (PEM)."""
    content = json.dumps(record.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()
    signed = base64.b64encode(signature.sign(key, content)).decode()
    return ReleaseRecord(**record.model_dump(), signature=signed)


def parse(content: bytes, file: str) -> ReleaseRecord:
    """Reads a record; raises UserError, naming the file, for anything else."""
    try:
        decoded = json.loads(content)
    except ValueError as error:
        raise UserError(f"{file} is no JSON ({error}): restore it from git") from None
    return ReleaseRecord.parse(decoded, file)


def build_index(records: Mapping[str, UnsignedRecord], stages: Mapping[str, Mapping[str, str]]) -> Index:
    """Makes the index of the versions below a prefix.

    Args:
      records: version → record, of the versions that are there.
      stages: mode → release stage → version; versions that are not there are left out.
    """
    versions_of_stages: dict[str, dict[str, str]] = {}
    for mode, versions in sorted(stages.items()):
        for stage, version in sorted(versions.items()):
            if version in records:
                versions_of_stages.setdefault(stage, {})[mode] = version
    return Index(
        schema_version=1,
        name=min((record.name for record in records.values()), default=""),
        stages=dict(sorted(versions_of_stages.items())),
        versions={
            version: ReleasedVersion(revision=record.revision, modes=record.modes)
            for version, record in records.items()
        },
    )
