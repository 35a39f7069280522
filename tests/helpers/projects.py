"""A project that releases: a real git and DVC repository whose one stage packages toy bundles."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from autocomplete.common.files import read_json
from helpers.bundles import keys, reseal
from helpers.folders import ROOT

MODES = {"float32": "autocomplete-float32", "dynamic_range": "autocomplete-dynamic-range"}
IDENTITY = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@dataclass(frozen=True)
class Project:
    """A producer's repository, its git remote, its DVC remote, and the prefix of its plain releases."""

    folder: Path

    @property
    def origin(self) -> Path:
        return self.folder.with_name("origin.git")

    @property
    def store(self) -> Path:
        return self.folder.with_name("store")

    @property
    def prefix(self) -> Path:
        return self.folder.with_name("web")

    @property
    def key(self) -> Path:
        return self.folder.with_name("release.key")

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return os.environ | IDENTITY | {"PATH": path, "AUTOCOMPLETE_KEY": str(self.key)}

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def command(self, *arguments: str) -> list[str]:
        """The command that makes a release, with a prefix next to the repository."""
        return [sys.executable, "-m", "autocomplete", "release", f"--prefix={self.prefix}", *arguments]

    def release(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def package(self, mode: str, **changed: object) -> None:
        """Changes the stage's output: the keys of a manifest."""
        reseal(self.folder / "made" / mode, mode=mode, **changed)


def visible(project: Project) -> tuple[set[str], dict[str, Any]]:
    """The public state: the tags at the git remote, and the index."""
    tags = project.run("git", "ls-remote", "--tags", "--refs", str(project.origin)).split()[1::2]
    index = project.prefix / "releases/autocomplete/index.json"
    return {t.removeprefix("refs/tags/") for t in tags}, read_json(index) if index.is_file() else {}


def project(toy_bundle: Path, folder: Path) -> Project:
    """A new project in an empty folder, packaged and committed, with nothing released."""
    created = Project(folder / "project")
    for name in ("autocomplete", "conf", "stages"):
        shutil.copytree(ROOT / name, created.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / ".gitignore", created.folder / ".gitignore")
    for mode in MODES:
        shutil.copytree(toy_bundle, created.folder / "made" / mode)
        created.package(mode, name="autocomplete")
    stage = {
        "cmd": "mkdir -p artifacts/package && cp -r made/${item.mode} artifacts/package/",
        "matrix": {"mode": list(MODES)},
        "deps": ["made/${item.mode}"],
        "outs": ["artifacts/package/${item.mode}"],
    }
    artifacts = {name: {"path": f"releases/bundles/{mode}", "type": "model"} for mode, name in MODES.items()}
    (created.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"package": stage}, "artifacts": artifacts}))
    _, public = keys(folder, "release")
    (created.folder / "keys").mkdir()
    shutil.copyfile(public, created.folder / "keys/release.pem")
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch", "main", str(created.origin)], check=True)
    created.run("git", "init", "-q", "--initial-branch", "main")
    created.run("git", "remote", "add", "origin", str(created.origin))
    created.run("dvc", "init", "-q")
    created.run("dvc", "remote", "add", "--quiet", "--default", "store", str(created.store))
    created.run("dvc", "repro", "--quiet")
    created.commit("the project")
    return created


@pytest.fixture(scope="session")
def packaged(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project without releases, which tests copy."""
    return project(toy_bundle, tmp_path_factory.mktemp("releases")).folder.parent


@pytest.fixture
def fresh(packaged: Path, tmp_path: Path) -> Project:
    """A copy of the project, from which a test may release."""
    copied = Project(Path(shutil.copytree(packaged, tmp_path / "releases", symlinks=True)) / "project")
    copied.run("git", "remote", "set-url", "origin", str(copied.origin))
    copied.run("dvc", "remote", "modify", "--quiet", "store", "url", str(copied.store))
    copied.commit("moved")
    return copied
