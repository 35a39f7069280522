"""A producer: a repository of git and DVC, the bare one that others clone, and releases in it and below a prefix."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gto import api as gto

from autocomplete.common.files import write_json
from helpers.bundles import reseal
from helpers.folders import ROOT

MODE, NAME = "float32", "autocomplete-float32"
BUNDLES = Path("releases/bundles")
RELEASES = {"1.2.0": ["prod"], "1.10.0": []}  # in time; stages


@dataclass(frozen=True)
class Producer:
    """A repository whose releases lie at a DVC remote; its hub is what it pushes to and consumers clone."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def hub(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.git")

    def run(self, *command: str) -> str:
        environment = os.environ | self.environment | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def dvc(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments)


@dataclass(frozen=True)
class Remote:
    """A DVC remote: what is in git of it, and what is not, the way in above all."""

    url: str
    options: Mapping[str, str] = field(default_factory=dict)
    local: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


def producer(folder: Path, remote: Remote, bundle: Path, public: Path) -> Producer:
    """A repository with a packaged bundle and a public key, and without a release."""
    made = Producer(folder, remote.environment)
    folder.mkdir(parents=True)
    made.run("git", "init", "--quiet", "--initial-branch", "main")
    made.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(made.hub))
    for key, value in {
        "user.name": "team",
        "user.email": "team@example.org",
        "remote.origin.url": str(made.hub),
    }.items():
        made.run("git", "config", key, value)
    (folder / ".dvc").mkdir()
    (folder / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (folder / ".dvc/config").write_text(
        f"[core]\n    remote = store\n{_section({'url': remote.url, **remote.options})}"
    )
    (folder / ".dvc/config.local").write_text(_section(remote.local))
    listed = {NAME: {"path": str(BUNDLES / MODE), "type": "model"}}
    write_json(folder / "dvc.yaml", {"artifacts": listed})  # JSON is YAML
    for name, source in {"conf/release.yaml": ROOT / "conf/release.yaml", "keys/release.pem": public}.items():
        (folder / name).parent.mkdir()
        shutil.copyfile(source, folder / name)
    (folder / ".gitignore").write_text("/artifacts/\n/releases/bundles/\n")
    packaged = shutil.copytree(bundle, folder / "artifacts/package" / MODE)
    reseal(packaged, name="autocomplete")
    made.run("git", "add", "--all")
    made.run("git", "commit", "--quiet", "--message", "the project")
    return made


def _section(options: Mapping[str, str]) -> str:
    return "".join(["['remote \"store\"']\n", *(f"    {name} = {value}\n" for name, value in options.items())])


def release(made: Producer, version: str, stages: Sequence[str], key: Path, *more: str) -> None:
    """A version of the bundle, by the command that brings versions out."""
    command = [
        sys.executable,
        "-m",
        "autocomplete",
        "release",
        version,
        f"--key={key}",
        *(f"--stage={stage}" for stage in stages),
    ]
    made.run(*command, *more)
    made.run("git", "-C", str(made.hub), "update-server-info")  # for git by plain HTTP


def readdressed(made: Producer, folder: Path, remote: Remote, releases: Mapping[str, Sequence[str]]) -> Producer:
    """The same releases in another repository, which says that their data is elsewhere; no data moves."""
    other = producer(folder, remote, made.folder / "artifacts/package" / MODE, made.folder / "keys/release.pem")
    (folder / BUNDLES.parent).mkdir()
    for version, stages in releases.items():
        name = f"{BUNDLES}.dvc"
        (folder / name).write_text(made.run("git", "show", f"{NAME}@v{version}:{name}"))
        other.run("git", "add", "--all")
        other.run("git", "commit", "--quiet", "--message", f"Release {version}")
        gto.register(other.folder, NAME, "HEAD", version=f"v{version}")
        for stage in stages:
            gto.assign(other.folder, NAME, stage, version=f"v{version}")
        other.run("git", "push", "--quiet", "origin", "HEAD", "--tags")
        other.run("git", "-C", str(other.hub), "update-server-info")
    return other


def plain(prefix: Path, bundle: Path, releases: Mapping[str, Sequence[str]], keys: tuple[Path, Path]) -> None:
    """The releases as files below a prefix, for teams without DVC."""
    made = producer(prefix.with_name("producer"), Remote(str(prefix.with_name("store"))), bundle, keys[1])
    for version, stages in releases.items():
        release(made, version, stages, keys[0], f"--prefix={prefix}")
