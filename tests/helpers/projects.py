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
    """A producer's repository, its git remote, the store of its data, and the place of its plain releases."""

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
        """What releases, with the plain place beside the repository."""
        return [sys.executable, "-m", "autocomplete", "release", f"--prefix={self.prefix}", *arguments]

    def release(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def package(self, mode: str, **changed: object) -> None:
        """Changes what the stage made: other contents of a manifest."""
        reseal(self.folder / "made" / mode, mode=mode, **changed)


def visible(project: Project) -> tuple[set[str], dict[str, Any]]:
    """What others see: the tags at the git remote, and the index."""
    tags = project.run("git", "ls-remote", "--tags", "--refs", str(project.origin)).split()[1::2]
    index = project.prefix / "releases/autocomplete/index.json"
    return {t.removeprefix("refs/tags/") for t in tags}, read_json(index) if index.is_file() else {}


def project(toy_bundle: Path, folder: Path) -> Project:
    """A new project in an empty folder, packaged and committed, with nothing released."""
    made = Project(folder / "project")
    for name in ("autocomplete", "conf", "stages"):
        shutil.copytree(ROOT / name, made.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / ".gitignore", made.folder / ".gitignore")
    for mode in MODES:
        shutil.copytree(toy_bundle, made.folder / "made" / mode)
        made.package(mode, name="autocomplete")
    stage = {
        "cmd": "mkdir -p artifacts/package && cp -r made/${item.mode} artifacts/package/",
        "matrix": {"mode": list(MODES)},
        "deps": ["made/${item.mode}"],
        "outs": ["artifacts/package/${item.mode}"],
    }
    listed = {name: {"path": f"releases/bundles/{mode}", "type": "model"} for mode, name in MODES.items()}
    (made.folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"package": stage}, "artifacts": listed}))
    _, public = keys(folder, "release")
    (made.folder / "keys").mkdir()
    shutil.copyfile(public, made.folder / "keys/release.pem")
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch", "main", str(made.origin)], check=True)
    made.run("git", "init", "-q", "--initial-branch", "main")
    made.run("git", "remote", "add", "origin", str(made.origin))
    made.run("dvc", "init", "-q")
    made.run("dvc", "remote", "add", "--quiet", "--default", "store", str(made.store))
    made.run("dvc", "repro", "--quiet")
    made.commit("the project")
    return made


@pytest.fixture(scope="session")
def packaged(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project that nothing was released from, to copy."""
    return project(toy_bundle, tmp_path_factory.mktemp("releases")).folder.parent


@pytest.fixture
def fresh(packaged: Path, tmp_path: Path) -> Project:
    """A project of its own to release from."""
    made = Project(Path(shutil.copytree(packaged, tmp_path / "releases", symlinks=True)) / "project")
    made.run("git", "remote", "set-url", "origin", str(made.origin))
    made.run("dvc", "remote", "modify", "--quiet", "store", "url", str(made.store))
    made.commit("moved")
    return made
