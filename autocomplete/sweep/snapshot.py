"""The workspace as git sees it at one moment, clones of it to run experiments in, and experiments brought back.

While DVC notes an experiment's values, with `--temp` too, the workspace's own edits are in git's stash: who kills it
then leaves them there. In a clone of its own nothing is at stake, and no job waits for another.
"""

import configparser
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from autocomplete.common.errors import UserError

_MATTERS = ("artifacts", "autocomplete", "conf", "dvc.yaml", "params.yaml", "stages")
_MATTERS_NOT = ("conf/sweep.yaml", "conf/hydra/")


@dataclass(frozen=True)
class Snapshot:
    """The commit that experiments start from, and the tree of all files known to git with uncommitted edits."""

    head: str
    tree: str


def take() -> Snapshot:
    """The workspace now; raises UserError where there is no commit, or a file that no clone would have."""
    try:
        head = _git("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except subprocess.CalledProcessError:
        raise UserError("a sweep starts from a commit, and there is none here: git init, git add, git commit") from None
    unknown = _git("ls-files", "--others", "--exclude-standard", "--", "autocomplete", "conf", "stages").splitlines()
    if unknown:
        raise UserError(
            f"git does not know {', '.join(unknown)}, so no experiment would have it: git add it, or remove it"
        )
    index = Path(_git("rev-parse", "--git-path", "index"))
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "index"
        shutil.copy2(index, copy)  # with its time: by it git knows which files may have changed in the same second
        environment = {"GIT_INDEX_FILE": str(copy)}
        _git("add", "--update", environment=environment)
        return Snapshot(head, _git("write-tree", environment=environment))


def identity(snapshot: Snapshot) -> str:
    """What of a snapshot may change a result: its configuration, code and presets."""
    listed = _git("ls-tree", "-r", snapshot.tree, "--", *_MATTERS).splitlines()
    return "\n".join(line for line in listed if not line.partition("\t")[2].startswith(_MATTERS_NOT))


def clone(snapshot: Snapshot, folder: Path, cache: Path) -> None:
    """A clone that shares git's objects and DVC's cache with this repository, its files as in the snapshot."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _git("clone", "--quiet", "--shared", "--no-checkout", "--template=", ".", str(folder))
    _git("update-ref", "--no-deref", "HEAD", snapshot.head, folder=folder)
    _git("read-tree", "--reset", "-u", snapshot.tree, folder=folder)
    settings = configparser.RawConfigParser()
    settings.read(".dvc/config.local")
    for section, key, value in (("cache", "dir", cache), ("core", "site_cache_dir", folder / ".dvc/tmp/site")):
        if not settings.has_section(section):
            settings.add_section(section)
        settings.set(section, key, str(value.absolute()))
    with (folder / ".dvc/config.local").open("w") as file:
        settings.write(file)


def bring_back(folder: Path, head: str, name: str) -> None:
    """Fetches an experiment from a clone; until that, all at once, this repository knows nothing of it."""
    ref = f"{_namespace(head)}/{name}"
    _git("fetch", "--quiet", "--no-tags", "--no-auto-gc", "--no-write-fetch-head", str(folder), f"+{ref}:{ref}")


def experiments(head: str) -> set[str]:
    """The names of the experiments that start from a commit."""
    listed = _git("for-each-ref", "--format=%(refname)", _namespace(head)).splitlines()
    return {ref.rpartition("/")[2] for ref in listed}


def cache_folder() -> Path:
    """The folder of DVC's cache, wherever it is configured."""
    done = subprocess.run(["dvc", "cache", "dir"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"dvc cache dir: {done.stderr.strip().splitlines()[-1:]}")
    return Path(done.stdout.strip()).absolute()


def _namespace(head: str) -> str:
    return f"refs/exps/{head[:2]}/{head[2:]}"


def _git(*arguments: str, folder: Path = Path(), environment: dict[str, str] | None = None) -> str:
    whole = os.environ | (environment or {})
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=folder, env=whole, capture_output=True, text=True, check=True)
    return done.stdout.strip()
