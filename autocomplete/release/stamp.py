"""A bundle as it is released: with version and revision, an Android archive, and the maker's signature."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from autocomplete.bundle import android, card, integrity, manifest, signature
from autocomplete.bundle.contract import Manifest, Release
from autocomplete.common.errors import UserError
from autocomplete.common.files import sha256, write_bytes
from autocomplete.release import record

ANDROID = "android"


@dataclass(frozen=True)
class Stamp:
    """What a release writes onto each of its bundles."""

    version: str
    revision: str
    maven_group: str


def check(bundle: Path) -> Manifest:
    """The manifest of a bundle that package made, whole and with all gates passed; raises UserError otherwise."""
    if not bundle.is_dir():
        raise UserError(f"{bundle} is missing: run `dvc repro` (or `dvc pull`)")
    listed, content = integrity.check(bundle), Manifest.read(bundle / manifest.FILE)
    manifest.check_files(content, bundle, listed)
    if content.failed_gates:
        raise UserError(
            f"{bundle}: {', '.join(content.failed_gates)} did not pass; what a gate refused is not released"
        )
    return content


def write(bundle: Path, stamp: Stamp, key: Path, folder: Path) -> str:
    """Writes the stamped and signed copy of a bundle into a new folder.

    Its bytes depend on the inputs alone: Ed25519 draws nothing at random (RFC 8032).

    Args:
      bundle: a folder that package made.
      stamp: the version, the git revision that the bundle was made from, and Maven's group of the Android archive.
      key: the Ed25519 private key (PEM).
      folder: where the copy goes; its name is no part of it.

    Returns:
      The SHA-256 of its SHA256SUMS, which stands for all files.
    """
    unreleased = check(bundle)
    shutil.copytree(bundle, folder, copy_function=shutil.copyfile)
    (folder / integrity.FILE).unlink()
    release = Release(version=stamp.version, revision=stamp.revision)
    content = unreleased.model_copy(update={"release": release})
    name = record.artifact(content.name, content.mode)
    android.write(_assets(folder), android.Coordinates(stamp.maven_group, name, stamp.version), folder / ANDROID)
    write_bytes(folder / manifest.CARD, card.render(content).encode())
    manifest.seal(content, folder, known_files={n: f for n, f in content.files.items() if n != manifest.CARD})
    write_bytes(folder / integrity.SIGNATURE, signature.sign(key, (folder / integrity.FILE).read_bytes()))
    return sha256(folder / integrity.FILE)


def _assets(folder: Path) -> list[Path]:
    """What an Android app loads: the text model, or ids in, ids out and the tokenizer where there is none."""
    text = folder / "autocomplete.tflite"
    return [text] if text.exists() else [folder / "tokens.tflite", folder / "tokenizer"]
