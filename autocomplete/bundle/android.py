"""The Android archive of a bundle: an AAR in a Maven repository, which a Gradle project adds with one line."""

import contextlib
import hashlib
import io
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing_file, sha256, write_bytes

# The demo app's (app/build.gradle.kts of lite/examples/generative_ai).
MIN_SDK = 24
# An app maps a model into a Java ByteBuffer, whose size is an int.
MAX_ASSET_BYTES = 2**31 - 1

# Maven allows these characters (DefaultModelValidator.isValidIdCharacter). A part between dots becomes a folder.
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
# Narrower than Maven, which allows all but \/:"<>|?*. RELEASE, LATEST and Gradle's latest.… and 1.+ are searches.
_VERSION = re.compile(r"[0-9][A-Za-z0-9_.-]*(?<!SNAPSHOT)")
_RULES = (
    ("group", _NAME, "letters, digits, - and _ in parts between single dots, as in com.example.keyboard"),
    ("artifact", _NAME, "letters, digits, - and _ in parts between single dots, as in autocomplete"),
    ("version", _VERSION, "a digit first, then letters, digits, ., - and _, and no SNAPSHOT, as in 1.0.0"),
)

_MANIFEST = """\
<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="{namespace}">
    <uses-sdk android:minSdkVersion="{min_sdk}" />
</manifest>
"""
# The Android Gradle plugin (CheckAarMetadataTask) requires the first two, and itself writes the third like this.
_METADATA = "aarFormatVersion=1.0\naarMetadataVersion=1.0\nminCompileSdk=1\n"
_POM = """\
<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="http://maven.apache.org/POM/4.0.0 https://maven.apache.org/xsd/maven-4.0.0.xsd">
  <modelVersion>4.0.0</modelVersion>
  <groupId>{c.group}</groupId>
  <artifactId>{c.artifact}</artifactId>
  <version>{c.version}</version>
  <packaging>aar</packaging>
</project>
"""
# Without lastUpdated, which is optional: a time would make the bytes differ from run to run.
_VERSIONS = """\
<?xml version="1.0" encoding="UTF-8"?>
<metadata>
  <groupId>{c.group}</groupId>
  <artifactId>{c.artifact}</artifactId>
  <versioning>
    <latest>{newest}</latest>
    <release>{newest}</release>
    <versions>
{versions}
    </versions>
  </versioning>
</metadata>
"""

_PAGE = Path(__file__).with_name("flex_ops.md")
# Operators whose kernels are in TensorFlow Text, not in TensorFlow:
# https://www.tensorflow.org/lite/guide/op_select_allowlist
_TEXT_OPERATORS = frozenset(
    {
        "CaseFoldUTF8",
        "ConstrainedSequence",
        "MaxSpanningTree",
        "NormalizeUTF8",
        "NormalizeUTF8WithOffsetsMap",
        "RegexSplitWithOffsets",
        "RougeL",
        "SentenceFragments",
        "SentencepieceOp",
        "SentencepieceTokenizeOp",
        "SentencepieceTokenizeWithOffsetsOp",
        "SentencepieceDetokenizeOp",
        "SentencepieceVocabSizeOp",
        "SplitMergeTokenizeWithOffsets",
        "UnicodeScriptTokenizeWithOffsets",
        "WhitespaceTokenizeWithOffsets",
        "WordpieceTokenizeWithOffsets",
    }
)
_PREBUILT = (
    "All of them are operators of TensorFlow itself, so `tensorflow-lite-select-tf-ops` is enough: nothing of TF Text."
)
_OWN_BUILD = (
    "**{} not in `tensorflow-lite-select-tf-ops`**: of the ways below, only the demo's archive and a build with TF "
    "Text or with your operators' sources (`--tflite_custom_ops_srcs`) can hold them."
)


@dataclass(frozen=True)
class Coordinates:
    """The archive's name in a Gradle project, `group:artifact:version`.

    Raises:
      UserError: for a part that Maven does not allow.
    """

    group: str
    artifact: str
    version: str

    def __post_init__(self) -> None:
        for part, rule, allowed in _RULES:
            value = getattr(self, part)
            if not rule.fullmatch(value):
                raise UserError(f"{part} {value!r} is no Maven {part}; allowed are {allowed}")


def write(models: Sequence[Path], coordinates: Coordinates, folder: Path) -> Path:
    """Adds an archive with models among its assets to a Maven repository, and returns the archive's path.

    Its bytes depend on the inputs alone. `maven-metadata.xml` is written last, so that it never names a version that
    does not exist yet.

    Args:
      models: files and folders (a tokenizer), which become `assets/<name>`.
      coordinates: the archive's name.
      folder: the repository, made where it is missing; other versions and archives in it stay.

    Raises:
      UserError: if a model is missing or too large, or the version exists with other contents: Gradle never fetches a
        version again.
    """
    artifact_folder = folder.joinpath(*coordinates.group.split("."), coordinates.artifact)
    archive = artifact_folder / coordinates.version / f"{coordinates.artifact}-{coordinates.version}.aar"
    entries = _entries(models, coordinates)
    with replacing_file(archive) as file:
        _zip(file, entries)
        file.flush()
        if archive.exists() and sha256(archive) != sha256(Path(file.name)):
            raise UserError(f"{archive} is there already with other contents; give what is new a new version")
    pom, metadata = archive.with_suffix(".pom"), artifact_folder / "maven-metadata.xml"
    write_bytes(pom, _POM.format(c=coordinates).encode())
    for path in (archive, pom):
        _write_checksums(path)
    write_bytes(metadata, _versions(coordinates, artifact_folder).encode())
    _write_checksums(metadata)
    return archive


def flex_ops_page(select_tf: Sequence[str], custom: Sequence[str]) -> str:
    """The page on a model's operators that TensorFlow Lite has not built in, and on runtimes that hold them.

    Args:
      select_tf: the model's operators of Select TF, without the prefix `Flex`.
      custom: its custom operators.

    Returns:
      Markdown; empty where the model has neither.
    """
    if not select_tf and not custom:
        return ""
    not_prebuilt = sorted({*_TEXT_OPERATORS.intersection(select_tf), *custom})
    rows = [(o, "TF Text's, by Select TF" if o in not_prebuilt else "TensorFlow's, by Select TF") for o in select_tf]
    rows += [(o, "custom") for o in custom]
    names = ", ".join(f"`{o}`" for o in not_prebuilt)
    return _PAGE.read_text().format(
        operators="\n".join(f"| `{o}` | {kind} |" for o, kind in rows),
        enough=_OWN_BUILD.format(names + (" is" if len(not_prebuilt) == 1 else " are")) if not_prebuilt else _PREBUILT,
    )


def _entries(models: Sequence[Path], coordinates: Coordinates) -> dict[str, bytes | Path]:
    """The archive's files: those that the Android Gradle plugin requires, and the models; no code, no resources."""
    jar = io.BytesIO()
    _zip(jar, {"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\r\n\r\n"})
    # One part below a fixed one is always a Java package, whatever Maven's names hold (hyphens, digits, `new`).
    namespace = "model." + re.sub("[^A-Za-z0-9]", "_", f"of_{coordinates.group}_{coordinates.artifact}")
    return {
        "AndroidManifest.xml": _MANIFEST.format(namespace=namespace, min_sdk=MIN_SDK).encode(),
        "META-INF/com/android/build/gradle/aar-metadata.properties": _METADATA.encode(),
        "R.txt": b"",
        "classes.jar": jar.getvalue(),
        **{f"assets/{name}": path for name, path in _assets(models).items()},
    }


def _assets(models: Sequence[Path]) -> dict[str, Path]:
    """The models' files by their name in the app's assets."""
    assets: dict[str, Path] = {}
    for model in models:
        if not model.exists():
            raise UserError(f"{model} is missing; run `dvc repro` to make the bundle")
        for path in [model] if model.is_file() else sorted(p for p in model.rglob("*") if p.is_file()):
            name = path.relative_to(model.parent).as_posix()
            if name in assets:
                raise UserError(f"{assets[name]} and {path} would both be assets/{name}; leave one of them out")
            if path.stat().st_size > MAX_ASSET_BYTES:
                raise UserError(
                    f"{path} has more than the {MAX_ASSET_BYTES} bytes that an Android app can map; ship it apart"
                )
            assets[name] = path
    return assets


def _zip(file: BinaryIO, entries: Mapping[str, bytes | Path]) -> None:
    """Writes a zip file in order of names, with fixed times and permissions.

    Nothing is compressed: a compressor's output depends on its version, and an app maps models as they are.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in sorted(entries.items()):
            info = zipfile.ZipInfo(name)  # not compressed; of 1980, the first year of zip's times
            info.create_system, info.external_attr = 3, 0o100644 << 16  # Unix: a file that everyone may read
            source = content.open("rb") if isinstance(content, Path) else io.BytesIO(content)
            with contextlib.closing(source), archive.open(info, "w") as target:
                shutil.copyfileobj(source, target)


def _versions(coordinates: Coordinates, artifact_folder: Path) -> str:
    """maven-metadata.xml: the versions that exist, with the one just written as the newest, as Maven has it."""
    versions = {p.parent.name for p in artifact_folder.glob("*/*.pom")}
    lines = (f"      <version>{v}</version>" for v in sorted(versions))
    return _VERSIONS.format(c=coordinates, newest=coordinates.version, versions="\n".join(lines))


def _write_checksums(path: Path) -> None:
    """Writes a file's hashes beside it, in hexadecimal: .sha1 or .md5 for Maven, .sha256 for those who need safety."""
    for algorithm in ("sha256", "sha1", "md5"):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, partial(hashlib.new, algorithm, usedforsecurity=False)).hexdigest()
        write_bytes(path.with_name(f"{path.name}.{algorithm}"), digest.encode())
