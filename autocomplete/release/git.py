"""The commands of git, DVC and GTO by which a release reads and changes the repository."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from gto import api as gto
from gto.exceptions import GTOException

from autocomplete.common.errors import UserError

# DVC of this Python's environment, whatever is on PATH.
_DVC = (sys.executable, "-m", "dvc")
_ERROR_PREFIXES = ("ERROR:", "fatal:", "error:")


def git(*arguments: str, advice: str = "") -> str:
    """Runs git and returns what it prints; raises UserError with git's error and the advice where it fails."""
    return _run(("git", *arguments), f"git {arguments[0]}", advice)


def dvc(*arguments: str, advice: str = "") -> str:
    """Runs DVC and returns what it prints; raises UserError with DVC's error and the advice where it fails."""
    return _run((*_DVC, *arguments), f"dvc {arguments[0]}", advice)


def changed_files(ignored: Sequence[Path]) -> list[str]:
    """Returns the files that differ from the last commit, untracked ones too, but for the ignored ones."""
    entries = git("status", "--porcelain", "--untracked-files=all", "-z").split("\0")
    ignored_names = {path.as_posix() for path in ignored}
    return sorted(name for entry in entries if (name := entry[3:]) and name not in ignored_names)


def stale_stages() -> list[str]:
    """Returns the stages and .dvc files that dvc.lock does not describe; frozen stages are left out."""
    return sorted(json.loads(dvc("status", "--json")))


def artifacts() -> dict[str, Path]:
    """Returns the artifacts that dvc.yaml lists: name → folder."""
    listed = yaml.safe_load(Path("dvc.yaml").read_text()).get("artifacts", {})
    return {name: Path(artifact["path"]) for name, artifact in listed.items()}


def file_at(revision: str, path: Path) -> bytes | None:
    """Returns the content of a file in a commit; None where the commit has no such file."""
    done = subprocess.run(["git", "show", f"{revision}:./{path.as_posix()}"], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def tags(pattern: str) -> list[str]:
    """Returns the tags that match a pattern of `git tag --list`."""
    return git("tag", "--list", pattern).split()


def toplevel() -> Path:
    """Returns the repository's folder."""
    return Path(git("rev-parse", "--show-toplevel").rstrip("\n")).resolve()


def head() -> str:
    """Returns the hash of the last commit."""
    return git("rev-parse", "HEAD").strip()


def commit_that_added(path: Path) -> str:
    """Returns the hash of the commit that added a file."""
    return git("log", "--diff-filter=A", "--format=%H", "--max-count=1", "--", path.as_posix()).strip()


def commit(message: str, paths: Sequence[Path]) -> None:
    """Commits those of some files that exist and differ from the last commit."""
    names = [path.as_posix() for path in paths if path.exists()]
    git("add", "--", *names)
    if git("status", "--porcelain", "--", *names):
        git("commit", "--quiet", "--message", message, "--", *names, advice="then give the same command again")


def fetch_tags(remote: str) -> None:
    """Fetches the tags of a git remote, which hold the releases that others made."""
    git("fetch", "--quiet", remote, "refs/tags/*:refs/tags/*", advice="git_remote=null works without one")


def push(remote: str, patterns: Sequence[str]) -> None:
    """Pushes the current branch, if there is one, and the tags that match the patterns: all of it or nothing."""
    tag_refs = [f"refs/tags/{tag}" for pattern in patterns for tag in tags(pattern)]
    branch = git("branch", "--show-current").strip()
    branch_refs = [f"HEAD:refs/heads/{branch}"] if branch else []
    advice = "if it has commits that are not here, `git pull --no-rebase`; then give the same command again"
    git("push", "--quiet", "--atomic", remote, *branch_refs, *tag_refs, advice=advice)


def registered_versions(artifact: str) -> dict[str, str]:
    """Returns the versions of an artifact that GTO has registered, without `v`: version → commit."""
    entries = _gto(gto.show, artifact) if artifact in _gto(gto.show) else []  # it raises for an unknown name
    return {str(e["version"]).removeprefix("v"): e["commit_hexsha"] for e in entries if not e["discovered"]}


def register(artifact: str, version: str, revision: str) -> None:
    """Registers a version by GTO, unless it is registered: an annotated tag `<artifact>@v<version>`."""
    if version not in registered_versions(artifact):
        _gto(gto.register, artifact, revision, version=f"v{version}")


def assign_stage(artifact: str, version: str, stage: str) -> None:
    """Assigns a release stage to a version by GTO, unless the version has it."""
    if assigned_stages(artifact).get(stage) != version:
        _gto(gto.assign, artifact, stage, version=f"v{version}")


def assigned_stages(artifact: str) -> dict[str, str]:
    """Returns the release stages of an artifact: stage → version, without `v`."""
    stages = _gto(gto.show).get(artifact, {}).get("stage", {})
    return {stage: str(version).removeprefix("v") for stage, version in stages.items()}


def _gto(function: Callable[..., Any], *arguments: str, **options: str) -> Any:
    """Calls a function of GTO's API on this repository; raises UserError where it fails."""
    try:
        return function(".", *arguments, **options)
    except GTOException as error:
        raise UserError(f"gto {function.__name__} failed: {' '.join(str(error).split())}") from None


def _run(command: Sequence[str], shown_command: str, advice: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    last_line = lines[-1] if lines else ""
    message = next((line for line in lines if line.startswith(_ERROR_PREFIXES)), last_line).split(": ", 1)[-1]
    raise UserError(f"{shown_command} failed: {message}{advice and f'; {advice}'}")
