"""The Android archive, in the hands of the tools that an app team uses: aapt2, Maven, Gradle."""

import hashlib
import os
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from autocomplete.bundle import android, manifest
from autocomplete.bundle.contract import BundleFile
from autocomplete.common.errors import UserError
from autocomplete.common.files import tree_sha256
from helpers.environments import absent

# The Debian packages of the programs and files that the tests use (.ci/run installs them).
PACKAGES = {
    "unzip": "unzip",
    "aapt2": "aapt",
    "zipalign": "zipalign",
    "mvn": "maven",
    "gradle": "gradle",
    "/usr/share/android-framework-res/framework-res.apk": "android-framework-res",
    "/usr/share/maven-repo/org/apache/maven/plugins/maven-dependency-plugin": "libmaven-dependency-plugin-java",
    "/usr/share/maven-repo/junit/junit/4.x": "junit4",  # required by that plugin, but not by its package
}
FRAMEWORK, PLUGIN, JUNIT = (name for name in PACKAGES if name.startswith("/"))
FIRST = android.Coordinates("org.example.keyboard", "autocomplete", "1.9.0")
NEXT = android.Coordinates("org.example.keyboard", "autocomplete", "1.10.0")
MODEL = "assets/autocomplete.tflite"


@dataclass(frozen=True)
class Bundle:
    """The toy's models and tokenizer, as `package` ships them, and the manifest's record of each file."""

    models: tuple[Path, ...]
    files: dict[str, BundleFile]


@pytest.fixture(scope="module")
def bundle(toy_bundle: Path) -> Bundle:
    models = (toy_bundle / "autocomplete.tflite", toy_bundle / "tokenizer")
    records = manifest.files(toy_bundle)
    return Bundle(models, {n: f for n, f in records.items() if n.split("/")[0] in {m.name for m in models}})


@pytest.fixture
def repository(bundle: Bundle, tmp_path: Path) -> Path:
    """Two versions: the second is newer by number, but sorts first as a string."""
    for coordinates in (FIRST, NEXT):
        android.write(bundle.models, coordinates, tmp_path / "maven")
    return tmp_path / "maven"


def run(*command: str | Path, needs: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Runs a tool; where one is missing the test is skipped, in the gate a failure, and names the Debian package."""
    missing = [PACKAGES[n] for n in (str(command[0]), *needs) if shutil.which(n) is None and not Path(n).exists()]
    if missing:
        absent(f"apt-get install --no-install-recommends {' '.join(missing)}")
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def ran(*command: str | Path, needs: tuple[str, ...] = ()) -> str:
    done = run(*command, needs=needs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sha256s(archive: Path) -> dict[str, str]:
    with zipfile.ZipFile(archive) as opened:
        return {name: hashlib.sha256(opened.read(name)).hexdigest() for name in opened.namelist()}


def test_archive_is_whole_and_holds_the_bundle(bundle: Bundle, tmp_path: Path) -> None:
    archive = android.write(bundle.models, FIRST, tmp_path / "maven")
    assert archive == tmp_path / "maven/org/example/keyboard/autocomplete/1.9.0/autocomplete-1.9.0.aar"
    assert "No errors detected" in ran("unzip", "-t", archive)
    ran("unzip", "-q", archive, "-d", tmp_path / "aar")
    assert "No errors detected" in ran("unzip", "-t", tmp_path / "aar/classes.jar")
    hashes = sha256s(archive)
    assert {n.removeprefix("assets/"): h for n, h in hashes.items() if n.startswith("assets/")} == {
        name: file.sha256 for name, file in bundle.files.items()
    }
    assert [n for n in hashes if not n.startswith("assets/tokenizer/")] == [
        "AndroidManifest.xml",
        "META-INF/com/android/build/gradle/aar-metadata.properties",
        "R.txt",
        MODEL,
        "classes.jar",
    ]
    with zipfile.ZipFile(archive) as opened:
        attributes = {(i.compress_type, i.date_time, i.external_attr >> 16, i.create_system) for i in opened.infolist()}
    assert attributes == {(zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0), 0o100644, 3)}


@pytest.mark.parametrize("coordinates", [FIRST, android.Coordinates("4u.new-apps", "2_int.x-y", "1")], ids=str)
def test_app_is_built_from_the_archive(bundle: Bundle, coordinates: android.Coordinates, tmp_path: Path) -> None:
    """Runs aapt2 on the archive's manifest and assets, as the Android Gradle plugin does, which needs an SDK."""
    archive = android.write(bundle.models, coordinates, tmp_path / "maven")
    unpacked, app, compressed = tmp_path / "aar", tmp_path / "app.apk", tmp_path / "compressed.apk"
    ran("unzip", "-q", archive, "-d", unpacked)
    link = ("aapt2", "link", "-I", FRAMEWORK, "-A", unpacked / "assets", "--manifest", unpacked / "AndroidManifest.xml")
    ran(*link, "-0", ".tflite", "-o", app, needs=(FRAMEWORK,))
    badging = ran("aapt2", "dump", "badging", app)
    assert "package: name='model.of_" in badging
    assert "sdkVersion:'24'" in badging
    ran("zipalign", "-c", "4", app)
    with zipfile.ZipFile(app) as opened:
        assert opened.getinfo(MODEL).compress_type == zipfile.ZIP_STORED
    assert sha256s(app)[MODEL] == bundle.files["autocomplete.tflite"].sha256
    # why the page requires noCompress: by default aapt2 compresses a model, and an app cannot map it then
    ran(*link, "-o", compressed)
    with zipfile.ZipFile(compressed) as opened:
        assert opened.getinfo(MODEL).compress_type == zipfile.ZIP_DEFLATED
    text = (unpacked / "AndroidManifest.xml").read_text()
    (unpacked / "AndroidManifest.xml").write_text(text.replace("uses-sdk", "uses-skd"))
    assert run(*link, "-o", compressed).returncode != 0  # aapt2 does read the manifest


SETTINGS = """<settings>
<localRepository>{local}</localRepository>
<mirrors><mirror><id>debian</id><mirrorOf>central</mirrorOf><url>file:///usr/share/maven-repo</url></mirror></mirrors>
<profiles><profile><id>app</id><repositories><repository><id>bundle</id><url>{url}</url>
<releases><checksumPolicy>fail</checksumPolicy></releases></repository></repositories></profile></profiles>
<activeProfiles><activeProfile>app</activeProfile></activeProfiles>
</settings>"""


def maven(repository: Path, version: str, local: Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Maven fetches the archive into an empty local repository; the plugin comes from Debian's repository."""
    local.mkdir()
    settings = local / "settings.xml"
    settings.write_text(SETTINGS.format(local=local, url=repository.as_uri()))
    plugin_version = max((p.name for p in Path(PLUGIN).glob("3.*")), default="none")
    plugin = f"org.apache.maven.plugins:maven-dependency-plugin:{plugin_version}:get"
    artifact = f"-Dartifact={NEXT.group}:{NEXT.artifact}:{version}:aar"
    done = run("mvn", "-B", "-s", settings, plugin, artifact, "-Dtransitive=false", needs=(PLUGIN, JUNIT))
    return done, local / "org/example/keyboard/autocomplete"


@pytest.mark.slow
def test_maven_resolves_a_version_and_the_latest(repository: Path, tmp_path: Path) -> None:
    for requested, version in (("1.9.0", "1.9.0"), ("RELEASE", "1.10.0")):
        done, downloads = maven(repository, requested, tmp_path / requested)
        assert done.returncode == 0, done.stdout
        name = f"{version}/autocomplete-{version}.aar"
        assert (downloads / name).read_bytes() == (repository / "org/example/keyboard/autocomplete" / name).read_bytes()


@pytest.mark.slow
def test_maven_refuses_a_damaged_archive(repository: Path, tmp_path: Path) -> None:
    (archive,) = repository.rglob("*-1.10.0.aar")
    archive.write_bytes(archive.read_bytes().replace(b"uses-sdk", b"uses-skd"))
    done, _ = maven(repository, "1.10.0", tmp_path / "local")
    assert done.returncode != 0
    assert "Checksum validation failed, expected" in done.stdout


GRADLE = """
repositories {{ maven {{ url '{url}' }} }}
{configurations}
task fetch {{ doLast {{ configurations.each {{ c -> copy {{ from c; into c.name }} }} }} }}
"""


@pytest.mark.slow
def test_gradle_resolves_a_version_and_ranges(repository: Path, tmp_path: Path) -> None:
    resolved = {"1.9.0": "1.9.0", "1.+": "1.10.0", "latest.release": "1.10.0"}
    lines = (
        f"configurations {{ app{i} }}\ndependencies {{ app{i} '{NEXT.group}:{NEXT.artifact}:{requested}' }}"
        for i, requested in enumerate(resolved)
    )
    build = GRADLE.format(url=repository.as_uri(), configurations="\n".join(lines))
    (tmp_path / "settings.gradle").write_text("rootProject.name = 'app'\n")
    (tmp_path / "build.gradle").write_text(build)
    ran("gradle", "--offline", "--no-daemon", "-q", "-g", tmp_path / "home", "-p", tmp_path, "fetch")
    for i, version in enumerate(resolved.values()):
        (archive,) = (tmp_path / f"app{i}").iterdir()
        assert archive.name == f"autocomplete-{version}.aar"
        assert archive.read_bytes() == next(repository.rglob(archive.name)).read_bytes()


def test_same_inputs_same_bytes(bundle: Bundle, repository: Path, tmp_path: Path) -> None:
    copies = []
    for model in bundle.models:
        copies.append(tmp_path / model.name)
        (shutil.copytree if model.is_dir() else shutil.copyfile)(model, copies[-1])
        for path in (copies[-1], *copies[-1].rglob("*")):
            path.chmod(0o700)
            os.utime(path, (1_000_000_000, 1_000_000_000))
    for coordinates in (FIRST, NEXT, NEXT):
        android.write(list(reversed(copies)), coordinates, tmp_path / "again")
    assert tree_sha256(tmp_path / "again") == tree_sha256(repository)


def test_every_file_has_its_hashes(repository: Path) -> None:
    home = repository / "org/example/keyboard/autocomplete"
    kinds = (".md5", ".sha1", ".sha256")
    files = [p for p in repository.rglob("*") if p.is_file() and p.suffix not in kinds]
    names = {f"{v}/autocomplete-{v}.{kind}" for v in ("1.9.0", "1.10.0") for kind in ("aar", "pom")}
    assert {p.relative_to(home).as_posix() for p in files} == names | {"maven-metadata.xml"}
    for path in files:
        for kind in kinds:
            expected = hashlib.new(kind[1:], path.read_bytes()).hexdigest()
            assert path.with_name(path.name + kind).read_text() == expected


def test_a_version_is_never_changed(bundle: Bundle, repository: Path) -> None:
    before = tree_sha256(repository)
    with pytest.raises(UserError, match=r"autocomplete-1.9.0.aar is there already with other contents"):
        android.write(bundle.models[:1], FIRST, repository)
    assert tree_sha256(repository) == before


@pytest.mark.parametrize(
    ("part", "value"),
    [
        *(("group", v) for v in ("", "org..example", ".org", "org.", "org/x", "org.exämple", "org example", "org:x")),
        *(("artifact", v) for v in ("", "..", "a/b", "a\\b", "auto complete", "${name}", "autocomplete\n", "a&b")),
        *(
            ("version", v)
            for v in ("", "1-SNAPSHOT", "RELEASE", "latest.release", "1.+", "[1,2)", "1/0", "../1", "1\n")
        ),
    ],
)
def test_bad_coordinates_are_refused_in_one_line(part: str, value: str) -> None:
    with pytest.raises(UserError) as refused:
        android.Coordinates(**{"group": "org.example", "artifact": "autocomplete", "version": "1.0"} | {part: value})
    message = str(refused.value)
    assert message.startswith(f"{part} {value!r} is no Maven {part}; allowed are ")
    assert "\n" not in message


def test_bad_models_are_refused(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = bundle.models[0]
    with pytest.raises(UserError, match=r"none.tflite is missing; run `dvc repro`"):
        android.write([tmp_path / "none.tflite"], FIRST, tmp_path / "maven")
    with pytest.raises(UserError, match=r"would both be assets/autocomplete.tflite"):
        android.write([model, model], FIRST, tmp_path / "maven")
    monkeypatch.setattr(android, "MAX_ASSET_BYTES", model.stat().st_size - 1)
    with pytest.raises(UserError, match=r"more than the [0-9]+ bytes that an Android app can map"):
        android.write([model], FIRST, tmp_path / "maven")
    assert not (tmp_path / "maven").exists()
