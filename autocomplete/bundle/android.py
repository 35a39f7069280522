"""The Android archive of a bundle: an AAR in a Maven repository, which a Gradle project adds by one line."""

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
LARGEST = 2**31 - 1

# Maven takes these characters (DefaultModelValidator.isValidIdCharacter); a part between dots becomes a folder.
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
# Narrower than Maven, which takes all but \/:"<>|?*: RELEASE, LATEST and Gradle's latest.… and 1.+ are searches.
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
# The Android Gradle plugin (CheckAarMetadataTask) demands the first two, and itself writes the third like this.
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
# Without lastUpdated, which may be left out and is a time of day.
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
# https://www.tensorflow.org/lite/guide/op_select_allowlist: their kernels are in TensorFlow Text, not in TensorFlow.
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
    """How a Gradle project names the archive, `group:artifact:version`; a bad part is a UserError."""

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

    Its bytes depend on the inputs alone. What is written last is `maven-metadata.xml`: who asks for the newest version
    is never sent to one that is not there yet.

    Args:
      models: files and folders (a tokenizer), which become `assets/<name>`.
      coordinates: the archive's name. A version that is there already with other contents is refused, as Gradle never
        asks again for a version that it has.
      folder: the repository, made where it is missing; other versions and archives in it stay.
    """
    home = folder.joinpath(*coordinates.group.split("."), coordinates.artifact)
    archive = home / coordinates.version / f"{coordinates.artifact}-{coordinates.version}.aar"
    entries = _entries(models, coordinates)
    with replacing_file(archive) as file:
        _zip(file, entries)
        file.flush()
        if archive.exists() and sha256(archive) != sha256(Path(file.name)):
            raise UserError(f"{archive} is there already with other contents; give what is new a new version")
    pom, metadata = archive.with_suffix(".pom"), home / "maven-metadata.xml"
    write_bytes(pom, _POM.format(c=coordinates).encode())
    for path in (archive, pom):
        _write_checksums(path)
    write_bytes(metadata, _versions(coordinates, home).encode())
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
    """What an AAR must hold for the Android Gradle plugin, and the models; no code, no resources."""
    jar = io.BytesIO()
    _zip(jar, {"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\r\n\r\n"})
    # In one part under a fixed one: always a Java package, whatever Maven's names hold (hyphens, digits, `new`).
    namespace = "model." + re.sub("[^A-Za-z0-9]", "_", f"of_{coordinates.group}_{coordinates.artifact}")
    return {
        "AndroidManifest.xml": _MANIFEST.format(namespace=namespace, min_sdk=MIN_SDK).encode(),
        "META-INF/com/android/build/gradle/aar-metadata.properties": _METADATA.encode(),
        "R.txt": b"",
        "classes.jar": jar.getvalue(),
        **{f"assets/{name}": path for name, path in _assets(models).items()},
    }


def _assets(models: Sequence[Path]) -> dict[str, Path]:
    """Files by their name in the app's assets."""
    found: dict[str, Path] = {}
    for model in models:
        if not model.exists():
            raise UserError(f"{model} is missing; run `dvc repro` to make the bundle")
        for path in [model] if model.is_file() else sorted(p for p in model.rglob("*") if p.is_file()):
            name = path.relative_to(model.parent).as_posix()
            if name in found:
                raise UserError(f"{found[name]} and {path} would both be assets/{name}; leave one of them out")
            if path.stat().st_size > LARGEST:
                raise UserError(f"{path} has more than the {LARGEST} bytes that an Android app can map; ship it apart")
            found[name] = path
    return found


def _zip(file: BinaryIO, entries: Mapping[str, bytes | Path]) -> None:
    """A zip file in order of names, with fixed times and permissions.

    Nothing is compressed: what a compressor writes depends on its version, and an app needs models as they are.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in sorted(entries.items()):
            info = zipfile.ZipInfo(name)  # stored, and of 1980, the first time that zip knows
            info.create_system, info.external_attr = 3, 0o100644 << 16  # Unix: a file that all may read
            source = content.open("rb") if isinstance(content, Path) else io.BytesIO(content)
            with contextlib.closing(source), archive.open(info, "w") as target:
                shutil.copyfileobj(source, target)


def _versions(coordinates: Coordinates, home: Path) -> str:
    """maven-metadata.xml: the versions that are there, and as the newest the one just written, as Maven has it."""
    there = {p.parent.name for p in home.glob("*/*.pom")}
    lines = (f"      <version>{v}</version>" for v in sorted(there))
    return _VERSIONS.format(c=coordinates, newest=coordinates.version, versions="\n".join(lines))


def _write_checksums(path: Path) -> None:
    """Beside a file, its hashes in hexadecimal: Maven reads .sha1, or else .md5; .sha256 is for who distrusts them."""
    for algorithm in ("sha256", "sha1", "md5"):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, partial(hashlib.new, algorithm, usedforsecurity=False)).hexdigest()
        write_bytes(path.with_name(f"{path.name}.{algorithm}"), digest.encode())
