"""The repository around the pipeline: what git, DVC and GTO are asked, and told to do."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from gto import api as gto
from gto.exceptions import GTOException

from autocomplete.common.errors import UserError

# The command of DVC that belongs to this Python, whatever is on the path.
_DVC = (sys.executable, "-m", "dvc")


def git(*arguments: str, advice: str = "") -> str:
    """What git prints; raises UserError with its last line and the advice where it fails."""
    return _run(("git", *arguments), f"git {arguments[0]}", advice)


def dvc(*arguments: str, advice: str = "") -> str:
    """What DVC prints; raises UserError with its last line and the advice where it fails."""
    return _run((*_DVC, *arguments), f"dvc {arguments[0]}", advice)


def changed(leave_out: Sequence[Path]) -> list[str]:
    """The files that differ from the last commit, or are not in git and not ignored; some are left out."""
    lines = git("status", "--porcelain", "--untracked-files=all", "-z").split("\0")
    known = {p.as_posix() for p in leave_out}
    return sorted(name for line in lines if (name := line[3:]) and name not in known)


def stale() -> list[str]:
    """The stages and files of DVC that do not agree with dvc.lock, frozen stages excepted."""
    return sorted(json.loads(dvc("status", "--json")))


def bundles() -> dict[str, Path]:
    """Name → folder of the artifacts that dvc.yaml lists."""
    listed = yaml.safe_load(Path("dvc.yaml").read_text()).get("artifacts", {})
    return {name: Path(artifact["path"]) for name, artifact in listed.items()}


def committed(path: Path, revision: str = "HEAD") -> bytes | None:
    """A file as it is in a commit; None where it is not there."""
    done = subprocess.run(["git", "show", f"{revision}:./{path.as_posix()}"], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def tags(pattern: str) -> list[str]:
    """The tags that follow a pattern of `git tag --list`."""
    return git("tag", "--list", pattern).split()


def top() -> Path:
    """The repository's folder."""
    return Path(git("rev-parse", "--show-toplevel").rstrip("\n")).resolve()


def head() -> str:
    """The last commit."""
    return git("rev-parse", "HEAD").strip()


def added(path: Path) -> str:
    """The commit that brought a file into git."""
    return git("log", "--diff-filter=A", "--format=%H", "--max-count=1", "--", path.as_posix()).strip()


def commit(message: str, paths: Sequence[Path]) -> None:
    """Commits some files as they are, where they differ from the last commit."""
    names = [p.as_posix() for p in paths if p.exists()]
    git("add", "--", *names)
    if git("status", "--porcelain", "--", *names):
        git("commit", "--quiet", "--message", message, "--", *names, advice="then give the same command again")


def fetch_tags(remote: str) -> None:
    """Learns what others have released."""
    git("fetch", "--quiet", remote, "refs/tags/*:refs/tags/*", advice="git_remote=null works without one")


def push(remote: str, patterns: Sequence[str]) -> None:
    """Pushes the branch, if any, and the tags that follow some patterns: all of it or nothing."""
    named = [f"refs/tags/{tag}" for pattern in patterns for tag in tags(pattern)]
    branch = git("branch", "--show-current").strip()
    here = [f"HEAD:refs/heads/{branch}"] if branch else []
    advice = "if it has commits that are not here, `git pull --no-rebase`; then give the same command again"
    git("push", "--quiet", "--atomic", remote, *here, *named, advice=advice)


def versions(name: str) -> dict[str, str]:
    """Version → commit of what GTO has registered of an artifact."""
    shown = _gto(gto.show, name) if name in _gto(gto.show) else []  # it raises on a name that it does not know
    return {str(v["version"]).removeprefix("v"): v["commit_hexsha"] for v in shown if not v["discovered"]}


def register(name: str, version: str, revision: str) -> None:
    """Registers a version of an artifact by GTO, an annotated tag `<name>@v<version>`, where it is not registered."""
    if version not in versions(name):
        _gto(gto.register, name, revision, version=f"v{version}")


def assign(name: str, version: str, stage: str) -> None:
    """Gives a version of an artifact a stage by GTO, where it does not have it."""
    if stages(name).get(stage) != version:
        _gto(gto.assign, name, stage, version=f"v{version}")


def stages(name: str) -> dict[str, str]:
    """Stage → version of an artifact that is registered, without the `v`."""
    shown = _gto(gto.show).get(name, {}).get("stage", {})
    return {stage: str(version).removeprefix("v") for stage, version in shown.items()}


def _gto(call: Any, *arguments: Any, **more: Any) -> Any:
    try:
        return call(".", *arguments, **more)
    except GTOException as error:
        raise UserError(f"gto {call.__name__} failed: {' '.join(str(error).split())}") from None


def _run(command: Sequence[str], shown: str, advice: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        told = next(
            (line for line in said if line.startswith(("ERROR:", "fatal:", "error:"))), said[-1] if said else ""
        )
        raise UserError(f"{shown} failed: {told.split(': ', 1)[-1]}{advice and f'; {advice}'}")
    return done.stdout
