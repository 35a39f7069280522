"""Small, real DVC repositories around the toy preset."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from autocomplete.common.files import tree_sha256
from helpers.folders import ROOT
from helpers.toys import TEXT, Toy

SUPPRESSED = [100, 101, 102, 103, 104, "e", " the"]  # tokens that the models of `first` never generate
TINY = {
    "windows": 2,
    "parity_windows": 1,
    "texts": 3,
    "cuts_per_text": 1,
    "prompts": 3,
    "prompt_tokens": 6,
    "timing_repeats": 2,
    "latency_runs": 1,
    "latency_attempts": 6,
}


@dataclass(frozen=True)
class Repository:
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        identity = {f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        log = str(self.folder.with_name("ran.log"))
        return os.environ | identity | {"PATH": path, "DVC_TEST": "true", "FAKE_LOG": log}

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs `python -m` with a module and its arguments."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def dvc(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.python("dvc", *arguments)

    def repro(self, *targets: str) -> set[str]:
        """Runs `dvc repro`; returns the stages that were executed."""
        done = self.dvc("repro", *targets)
        assert done.returncode == 0, done.stdout + done.stderr
        return ran(done.stdout)

    def pending(self, target: str) -> set[str]:
        """The stages up to the target that `dvc repro` would execute, without executing them."""
        done = self.dvc("repro", "--dry", target)
        assert done.returncode == 0, done.stdout + done.stderr
        return ran(done.stdout)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        content = path.read_text()
        assert content.count(old) == 1, (name, old)
        path.write_text(content.replace(old, new))

    def hashes(self) -> dict[str, str]:
        return {p.name: tree_sha256(p) for p in sorted((self.folder / "artifacts").iterdir()) if p.is_dir()}


@dataclass(frozen=True)
class Run:
    """A repository after a `dvc repro`, and the stages that it executed."""

    repository: Repository
    stages: set[str]


def ran(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))


def make(toy: Toy, folder: Path) -> Repository:
    """The project around the toy preset, with short measurements and one mode; no stage has run yet."""
    _project(folder)
    preset = folder / "artifacts/presets/pydoc_gpt2"
    shutil.copytree(toy.preset, preset)
    documents = [part for text in TEXT for part in text.split("\n\n") if len(part) > 60]
    for name in ("evaluation", "calibration"):
        (preset / f"{name}.jsonl").write_text("".join(json.dumps({"text": d}) + "\n" for d in documents))
    validate = folder / "conf/validate/default.yaml"
    validate.write_text(yaml.safe_dump(yaml.safe_load(validate.read_text()) | TINY))
    return _with_dvc(folder)


def copy(repository: Repository, folder: Path) -> Repository:
    """A copy of the repository, with its cache, in a new folder."""
    return Repository(Path(shutil.copytree(repository.folder, folder, symlinks=True)))


def make_fake(folder: Path) -> Repository:
    """The committed project with stages that only log that they ran, in `ran.log` next to it."""
    _project(folder)
    preset = folder / "artifacts/presets/pydoc_gpt2"
    preset.mkdir(parents=True)
    for name in ("evaluation", "calibration"):
        (preset / f"{name}.jsonl").write_text("{}\n")
    pipeline = yaml.safe_load((folder / "dvc.yaml").read_text())
    for stage in pipeline["stages"].values():
        name, *arguments = stage["cmd"].removeprefix("python -m stages.").split()
        stage["cmd"] = f"python {ROOT}/tests/helpers/fake_stage.py {name}" + (" ${item.mode}" if arguments else "")
    (folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
    repository = _with_dvc(folder)
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "start")
    return repository


def _project(folder: Path) -> None:
    """Copies code and configuration, and sets one mode and a short sequence."""
    for name in ("autocomplete", "conf", "stages"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore", "uv.lock"):
        shutil.copyfile(ROOT / name, folder / name)
    if shutil.which("npm") is None:
        package = folder / "conf/package/default.yaml"
        package.write_text(package.read_text().replace("page: true", "page: false"))
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["convert"]["sequence_length"] = 48
    params["quantize"]["modes"] = ["float32"]
    (folder / "params.yaml").write_text("# knobs\n" + yaml.safe_dump(params))


def _with_dvc(folder: Path) -> Repository:
    repository = Repository(folder)
    repository.git("init", "--quiet")
    assert repository.dvc("init", "-q").returncode == 0
    shutil.copytree(ROOT / ".dvc/plots", folder / ".dvc/plots")
    return repository
