"""A snapshot of the workspace, clones of it that experiments run in, and the experiments fetched from them.

`dvc exp run`, also with `--temp`, puts the workspace's edits into git's stash for a while. If it is killed then, they
stay there. A clone has no edits to lose, and jobs in clones do not wait for each other.
"""

import configparser
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from autocomplete.common.errors import UserError

# The paths that may change a result, and those among them that do not.
_RELEVANT_PATHS = ("artifacts", "autocomplete", "conf", "dvc.yaml", "params.yaml", "stages")
_IRRELEVANT_PREFIXES = ("conf/sweep.yaml", "conf/hydra/")


@dataclass(frozen=True)
class Snapshot:
    """The workspace at one moment.

    Attributes:
      head: the hash of the commit that experiments start from.
      tree: the hash of git's tree of all tracked files, uncommitted edits included.
    """

    head: str
    tree: str


def take() -> Snapshot:
    """Takes a snapshot; raises UserError where there is no commit, or an untracked file that a run may need."""
    try:
        head = _git("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except subprocess.CalledProcessError:
        raise UserError("a sweep starts from a commit, and there is none here: git init, git add, git commit") from None
    untracked = _git("ls-files", "--others", "--exclude-standard", "--", "autocomplete", "conf", "stages").splitlines()
    if untracked:
        raise UserError(
            f"git does not know {', '.join(untracked)}, so no experiment would have it: git add it, or remove it"
        )
    index = Path(_git("rev-parse", "--git-path", "index"))
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "index"
        shutil.copy2(index, copy)  # with its time stamp, by which git notices edits in the same second
        environment = {"GIT_INDEX_FILE": str(copy)}
        _git("add", "--update", environment=environment)
        return Snapshot(head, _git("write-tree", environment=environment))


def identity(snapshot: Snapshot) -> str:
    """Returns the paths and hashes of what may change a result: code, configuration and presets."""
    entries = _git("ls-tree", "-r", snapshot.tree, "--", *_RELEVANT_PATHS).splitlines()
    return "\n".join(e for e in entries if not e.partition("\t")[2].startswith(_IRRELEVANT_PREFIXES))


def clone(snapshot: Snapshot, folder: Path, cache: Path) -> None:
    """Makes a clone with the files of a snapshot; it shares git's objects and DVC's cache with this repository."""
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


def fetch_experiment(folder: Path, head: str, name: str) -> None:
    """Fetches an experiment from a clone, in one step: before it this repository has nothing of the experiment.

    Args:
      folder: the clone.
      head: the commit that the experiment starts from.
      name: the experiment's.
    """
    ref = f"{_experiment_refs(head)}/{name}"
    _git("fetch", "--quiet", "--no-tags", "--no-auto-gc", "--no-write-fetch-head", str(folder), f"+{ref}:{ref}")


def experiment_names(head: str) -> set[str]:
    """Returns the names of the experiments that start from a commit."""
    refs = _git("for-each-ref", "--format=%(refname)", _experiment_refs(head)).splitlines()
    return {ref.rpartition("/")[2] for ref in refs}


def cache_folder() -> Path:
    """Returns the absolute path of DVC's cache, wherever it is configured."""
    done = subprocess.run(["dvc", "cache", "dir"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"dvc cache dir: {done.stderr.strip().splitlines()[-1:]}")
    return Path(done.stdout.strip()).absolute()


def _experiment_refs(head: str) -> str:
    """Returns the prefix under which DVC keeps a commit's experiments in git."""
    return f"refs/exps/{head[:2]}/{head[2:]}"


def _git(*arguments: str, folder: Path = Path(), environment: dict[str, str] | None = None) -> str:
    command, variables = ["git", *arguments], os.environ | (environment or {})
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=True)
    return done.stdout.strip()
