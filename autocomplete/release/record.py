"""releases/<version>.json: what a version is made of, signed by its maker; and the index of all versions."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autocomplete.bundle import signature
from autocomplete.common.errors import UserError

SCHEMA_VERSION = 1
FOLDER = Path("releases")
BUNDLES = FOLDER / "bundles"  # the newest release's, by mode; in DVC


def path(version: str) -> Path:
    """Where the record of a version is, in git."""
    return FOLDER / f"{version}.json"


def artifact(name: str, mode: str) -> str:
    """What DVC, GTO and Maven call the bundle of a mode: GTO allows no underscores."""
    return f"{name}-{mode.replace('_', '-')}"


def listed(bundles: Mapping[str, Path]) -> tuple[str, list[str]]:
    """The name of a project's bundles, and their modes.

    Args:
      bundles: artifact → folder, as dvc.yaml lists them.

    Raises:
      UserError: where an artifact is not `<name>-<mode>` at releases/bundles/<mode>, or none is listed.
    """
    names = {a.removesuffix(artifact("", path.name)) for a, path in bundles.items()}
    for a, path in bundles.items():
        if len(names) != 1 or a in names or path != BUNDLES / path.name:
            rule = f"<name>-<mode, with dashes> at {BUNDLES}/<mode>, and one name for all"
            raise UserError(f"dvc.yaml: artifacts.{a} is at {path}; wanted: {rule}")
    if not names:
        raise UserError("dvc.yaml lists no artifacts, so there is nothing to release")
    return names.pop(), sorted(path.name for path in bundles.values())


def build(name: str, version: str, revision: str, modes: Mapping[str, str]) -> dict[str, Any]:
    """A record without signature; `modes` has the SHA-256 of each bundle's SHA256SUMS."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "version": version,
        "revision": revision,
        "modes": {mode: {"path": f"{version}/{mode}", "sha256sums": digest} for mode, digest in sorted(modes.items())},
    }


def sign(record: Mapping[str, Any], key: Path) -> dict[str, Any]:
    """The record with the Ed25519 signature of everything else in it, in base64."""
    return {**record, "signature": base64.b64encode(signature.sign(key, _signed(record))).decode()}


def check(record: Mapping[str, Any], key: Path) -> None:
    """Raises UserError where a record was not signed by the owner of a public key."""
    try:
        signed = base64.b64decode(record["signature"], validate=True)
    except (KeyError, ValueError, TypeError):
        raise UserError(f"the record of version {record.get('version')} has no signature") from None
    signature.check(key, _signed(record), signed)


def index(records: Mapping[str, Mapping[str, Any]], stages: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """index.json of a prefix: the versions that are there, and which of them has which stage.

    Args:
      records: version → record.
      stages: mode → stage → version.
    """
    named: dict[str, dict[str, str]] = {}
    for mode, versions in sorted(stages.items()):
        for stage, version in sorted(versions.items()):
            if version in records:
                named.setdefault(stage, {})[mode] = version
    names = {record["name"] for record in records.values()}
    return {
        "schema_version": SCHEMA_VERSION,
        "name": min(names, default=""),
        "stages": dict(sorted(named.items())),
        "versions": {v: {"revision": r["revision"], "modes": r["modes"]} for v, r in records.items()},
    }


def _signed(record: Mapping[str, Any]) -> bytes:
    """What is signed: the record without signature, its keys sorted and without blanks."""
    content = {key: value for key, value in record.items() if key != "signature"}
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
