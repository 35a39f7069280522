"""A producer: a git and DVC repository, the bare one that others clone, and releases in it and below a prefix."""

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
RELEASES = {"1.2.0": ["prod"], "1.10.0": []}  # version: stages, in the order of release


@dataclass(frozen=True)
class Producer:
    """A repository with releases at a DVC remote; it pushes to its hub, which consumers clone."""

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
    """A DVC remote: its settings in git, and those that are not in git, above all its credentials."""

    url: str
    options: Mapping[str, str] = field(default_factory=dict)
    local: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


def producer(folder: Path, remote: Remote, bundle: Path, public: Path) -> Producer:
    """A repository with a packaged bundle and a public key, without a release."""
    created = Producer(folder, remote.environment)
    folder.mkdir(parents=True)
    created.run("git", "init", "--quiet", "--initial-branch", "main")
    created.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(created.hub))
    for key, value in {
        "user.name": "team",
        "user.email": "team@example.org",
        "remote.origin.url": str(created.hub),
    }.items():
        created.run("git", "config", key, value)
    (folder / ".dvc").mkdir()
    (folder / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (folder / ".dvc/config").write_text(
        f"[core]\n    remote = store\n{_section({'url': remote.url, **remote.options})}"
    )
    (folder / ".dvc/config.local").write_text(_section(remote.local))
    artifacts = {NAME: {"path": str(BUNDLES / MODE), "type": "model"}}
    write_json(folder / "dvc.yaml", {"artifacts": artifacts})  # JSON is YAML
    for name, source in {"conf/release.yaml": ROOT / "conf/release.yaml", "keys/release.pem": public}.items():
        (folder / name).parent.mkdir()
        shutil.copyfile(source, folder / name)
    (folder / ".gitignore").write_text("/artifacts/\n/releases/bundles/\n")
    packaged = shutil.copytree(bundle, folder / "artifacts/package" / MODE)
    reseal(packaged, name="autocomplete")
    created.run("git", "add", "--all")
    created.run("git", "commit", "--quiet", "--message", "the project")
    return created


def _section(options: Mapping[str, str]) -> str:
    return "".join(["['remote \"store\"']\n", *(f"    {name} = {value}\n" for name, value in options.items())])


def release(origin: Producer, version: str, stages: Sequence[str], key: Path, *more: str) -> None:
    """Releases a version of the bundle by the command `release`."""
    command = [
        sys.executable,
        "-m",
        "autocomplete",
        "release",
        version,
        f"--key={key}",
        *(f"--stage={stage}" for stage in stages),
    ]
    origin.run(*command, *more)
    origin.run("git", "-C", str(origin.hub), "update-server-info")  # for git by plain HTTP


def readdressed(origin: Producer, folder: Path, remote: Remote, releases: Mapping[str, Sequence[str]]) -> Producer:
    """The same releases in another repository, with another address of their data; no data moves."""
    other = producer(folder, remote, origin.folder / "artifacts/package" / MODE, origin.folder / "keys/release.pem")
    (folder / BUNDLES.parent).mkdir()
    for version, stages in releases.items():
        name = f"{BUNDLES}.dvc"
        (folder / name).write_text(origin.run("git", "show", f"{NAME}@v{version}:{name}"))
        other.run("git", "add", "--all")
        other.run("git", "commit", "--quiet", "--message", f"Release {version}")
        gto.register(other.folder, NAME, "HEAD", version=f"v{version}")
        for stage in stages:
            gto.assign(other.folder, NAME, stage, version=f"v{version}")
        other.run("git", "push", "--quiet", "origin", "HEAD", "--tags")
        other.run("git", "-C", str(other.hub), "update-server-info")
    return other


def plain(prefix: Path, bundle: Path, releases: Mapping[str, Sequence[str]], keys: tuple[Path, Path]) -> None:
    """Writes the releases as files below a prefix, for teams without DVC."""
    origin = producer(prefix.with_name("producer"), Remote(str(prefix.with_name("store"))), bundle, keys[1])
    for version, stages in releases.items():
        release(origin, version, stages, keys[0], f"--prefix={prefix}")
