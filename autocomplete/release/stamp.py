"""Makes the released copy of a bundle: with version and revision, an Android archive, and the maker's signature."""

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
    """What a release writes into each of its bundles.

    Attributes:
      version: without `v`.
      revision: the git commit that the bundles were made from.
      maven_group: the group of the Android archives.
    """

    version: str
    revision: str
    maven_group: str


def check(bundle: Path) -> Manifest:
    """Reads the manifest of a packaged bundle; raises UserError where the bundle is damaged or a gate refused it."""
    if not bundle.is_dir():
        raise UserError(f"{bundle} is missing: run `dvc repro` (or `dvc pull`)")
    hashes, content = integrity.check(bundle), Manifest.read(bundle / manifest.FILE)
    manifest.check_files(content, bundle, hashes)
    if content.failed_gates:
        raise UserError(
            f"{bundle}: {', '.join(content.failed_gates)} did not pass; what a gate refused is not released"
        )
    return content


def write(bundle: Path, stamp: Stamp, key: Path, folder: Path) -> str:
    """Writes the stamped and signed copy of a bundle into a new folder.

    Equal inputs give equal bytes: Ed25519 signatures use no random numbers (RFC 8032).

    Args:
      bundle: a folder that package made.
      stamp: what the copy gets.
      key: the Ed25519 private key (PEM).
      folder: where the copy goes; its name is not part of the copy.

    Returns:
      The SHA-256 of the copy's SHA256SUMS, which stands for all of its files.
    """
    packaged = check(bundle)
    shutil.copytree(bundle, folder, copy_function=shutil.copyfile)
    (folder / integrity.FILE).unlink()
    release = Release(version=stamp.version, revision=stamp.revision)
    content = packaged.model_copy(update={"release": release})
    artifact = record.artifact_name(content.name, content.mode)
    coordinates = android.Coordinates(stamp.maven_group, artifact, stamp.version)
    android.write(_android_assets(folder), coordinates, folder / ANDROID)
    write_bytes(folder / manifest.CARD, card.render(content).encode())
    manifest.seal(content, folder, known_files={n: f for n, f in content.files.items() if n != manifest.CARD})
    write_bytes(folder / integrity.SIGNATURE, signature.sign(key, (folder / integrity.FILE).read_bytes()))
    return sha256(folder / integrity.FILE)


def _android_assets(folder: Path) -> list[Path]:
    """Returns what an Android app loads: the text model; where there is none, the tokens model and the tokenizer."""
    text_model = folder / "autocomplete.tflite"
    return [text_model] if text_model.exists() else [folder / "tokens.tflite", folder / "tokenizer"]
