"""A producer: a repository of git and DVC, the bare one that others clone, and releases in it and below a prefix."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gto import api as gto

from stages.bundle import checksums, manifest, signature
from stages.files import read_json, sha256, write_json

MODE, NAME = "float32", "autocomplete-float32"
BUNDLES = Path("releases/bundles")
REVISION = "0" * 40
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
        environment = os.environ | self.environment | {"DVC_NO_ANALYTICS": "1"}
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


def producer(folder: Path, remote: Remote) -> Producer:
    """A repository without a release."""
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
    return made


def _section(options: Mapping[str, str]) -> str:
    return "".join(["['remote \"store\"']\n", *(f"    {name} = {value}\n" for name, value in options.items())])


def release(made: Producer, bundle: Path, version: str, stages: Sequence[str], keys: tuple[Path, Path]) -> None:
    """A version of the bundle: data to the remote, then commit and tags to the hub."""
    (made.folder / "keys").mkdir(exist_ok=True)
    shutil.copyfile(keys[1], made.folder / "keys/release.pem")
    stamped(bundle, made.folder / BUNDLES / MODE, version, keys[0])
    made.dvc("add", "--quiet", str(BUNDLES))
    made.dvc("push", "--quiet")
    _publish(made, version, stages)


def readdressed(made: Producer, folder: Path, remote: Remote, releases: Mapping[str, Sequence[str]]) -> Producer:
    """The same releases in another repository, which says that their data is elsewhere; no data moves."""
    other = producer(folder, remote)
    for version, stages in releases.items():
        for name in (f"{BUNDLES}.dvc", f"{BUNDLES.parent}/.gitignore", "keys/release.pem"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(made.run("git", "show", f"{NAME}@v{version}:{name}"))
        _publish(other, version, stages)
    return other


def _publish(made: Producer, version: str, stages: Sequence[str]) -> None:
    made.run("git", "add", "--all")
    made.run("git", "commit", "--quiet", "--message", f"Release {version}")
    gto.register(made.folder, NAME, "HEAD", version=f"v{version}")
    for stage in stages:
        gto.assign(made.folder, NAME, stage, version=f"v{version}")
    made.run("git", "push", "--quiet", "origin", "HEAD", "--tags")
    made.run("git", "-C", str(made.hub), "update-server-info")  # for git by plain HTTP


def stamped(bundle: Path, folder: Path, version: str, private: Path) -> None:
    """A copy of a bundle with its version, signed."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(bundle, folder)
    described = read_json(folder / manifest.FILE)
    write_json(folder / manifest.FILE, described | {"release": {"version": version, "revision": REVISION}})
    checksums.write(folder)
    (folder / checksums.SIGNATURE).write_bytes(signature.sign(private, (folder / checksums.FILE).read_bytes()))


def plain(prefix: Path, bundle: Path, releases: Mapping[str, Sequence[str]], private: Path) -> dict[str, Any]:
    """The releases as files below a prefix, for teams without DVC; returns the index."""
    home, index = prefix / "releases/autocomplete", {"schema_version": 1, "name": "autocomplete"}
    made: dict[str, Any] = index | {"stages": {}, "versions": {}}
    for version, stages in releases.items():
        stamped(bundle, home / version / MODE, version, private)
        entry = {"path": f"{version}/{MODE}", "sha256sums": sha256(home / version / MODE / checksums.FILE)}
        made["versions"][version] = {"revision": REVISION, "modes": {MODE: entry}}
        made["stages"] |= {stage: {MODE: version} for stage in stages}
    write_json(home / "index.json", made)
    return made
