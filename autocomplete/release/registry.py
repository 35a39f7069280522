"""Releases in a git repository: GTO's tags say which there are, DVC reads them from the tagged commit's remote."""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import dvc.api
import gto.api
from dvc.repo.open_repo import clean_repos

from autocomplete.common.errors import UserError, chain
from autocomplete.release.download import MissingError, Place, without_login
from autocomplete.release.versions import Offer

_PREFIX = "autocomplete-"
_CLONE_S, _SILENCE_S = 600, 120
_PART = 1 << 18
Result = TypeVar("Result")

# What git, DVC and the libraries below it say, and what to do about it; the first that fits counts.
_ADVICE = {
    r"host key": "check the server's key and put it into ~/.ssh/known_hosts",
    r"supported, but requires": "install DVC's part for such a remote: dvc[s3], dvc[ssh] …",
    r"locate credentials|config profile|AccessKey|SignatureDoesNot|\w+Token\b|Access ?Denied|\b403\b.*Object": (
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to keys that may read it"
    ),
    r"permission denied (\(|for user)": "name a key that the server knows in ~/.ssh/config (IdentityFile)",
    r"could not read (Username|Password)|Authentication failed|\b40[13]\b": (
        "give a login that may read it: to git by a credential helper, to DVC by `dvc remote modify --global`"
    ),
    r"connect|resol|unreachable|timed out|refused|lookup|not known|nothing came": (
        "nobody answers there: check address and network, or try again later"
    ),
}
_NO_REPOSITORY = "check the address of the repository"
_NO_DATA = "what the release needs is not there or damaged: tell the model team"


@dataclass(frozen=True)
class Repository:
    """A repository of releases.

    Attributes:
      source: what to call it: its address or path.
      clone: a bare clone of it.
      opened: what DVC opens: the clone, or a path as it is, next to which its remotes may lie.
    """

    source: str
    clone: Path
    opened: str


@contextlib.contextmanager
def repository(source: str) -> Iterator[Repository]:
    """Clones a repository for as long as the block lasts; raises UserError where that fails."""
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary) / "clone.git"
        shown = without_login(source)
        _git(f"the repository {shown}", "clone", "--quiet", "--bare", "--", source, str(clone))
        try:
            yield Repository(shown, clone, source if Path(source).is_dir() else str(clone))
        finally:
            clean_repos()


def _name(mode: str) -> str:
    return _PREFIX + mode.replace("_", "-")


def offer(repository: Repository, mode: str) -> Offer:
    """What GTO has registered of a mode."""
    where = f"the tags of {repository.source}"
    shown = _told(partial(gto.api.show, repository.clone), where)
    modes = [name.removeprefix(_PREFIX).replace("-", "_") for name in shown if name.startswith(_PREFIX)]
    if (name := _name(mode)) not in shown:
        return Offer(repository.source, [], {}, modes)
    versions = [v["version"] for v in _told(partial(gto.api.show, repository.clone, name), where) if v["is_active"]]
    stages = {stage: str(version).removeprefix("v") for stage, version in shown[name]["stage"].items()}
    return Offer(repository.source, [v.removeprefix("v") for v in versions], stages, modes)


def place(repository: Repository, mode: str, version: str) -> Place:
    """Where the bundle of a registered version lies."""
    tag = f"{_name(mode)}@v{version}"
    where = f"{repository.source} {tag}"
    show = partial(dvc.api.artifacts_show, _name(mode), version=f"v{version}", repo=repository.opened)
    found = _told(show, where)
    # What DVC keeps of earlier runs hides why a remote cannot be read, and lies where others may write.
    cache = {"core": {"site_cache_dir": str(repository.clone.with_name("cache"))}}
    files = dvc.api.DVCFileSystem(repository.opened, rev=found["rev"], config=cache)
    there = f"{where} at {_told(partial(_remote, files), where)}"
    names = set(_told(partial(files.find, found["path"]), there))
    return Place(where, partial(_parts, files, names, found["path"], there))


def public_key(repository: Repository, mode: str, version: str, path: Path) -> Path | None:
    """The key that the tagged commit has at a path, as a file beside the clone; None where there is none."""
    command = ["git", "-C", str(repository.clone), "show", f"{_name(mode)}@v{version}:{path.as_posix()}"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        return None
    copy = repository.clone.with_name("release.pem")
    copy.write_bytes(done.stdout)
    return copy


def _remote(files: Any) -> str:
    """The address of the remote that the opened commit names."""
    config = files.repo.config
    return without_login(config["remote"].get(config["core"].get("remote"), {}).get("url", "no remote"))


def _parts(files: Any, names: set[str], folder: str, where: str, name: str) -> Iterator[bytes]:
    path = f"{folder}/{name}"
    if path not in names:
        raise MissingError(f"{where} has no {path}")
    with _told(partial(files.open, path), where) as file:
        while part := _told(partial(file.read, _PART), where):
            yield part


def _told(call: Callable[[], Result], where: str) -> Result:
    """What a call into DVC returns; whatever goes wrong in there, in one of a dozen libraries, becomes a UserError."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"nothing came for {_SILENCE_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(_SILENCE_S)
    try:
        return call()
    except Exception as error:
        raise UserError(_explained(where, _once(chain(error)), _NO_DATA)) from error
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _git(where: str, *arguments: str) -> None:
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=environment,
            timeout=_CLONE_S,
            check=False,
        )
    except FileNotFoundError:
        raise UserError("git is not installed, and the releases are in a git repository") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{where}: not cloned in {_CLONE_S} s: check address and network") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("Warning:")]
        telling = next((line for line in lines if _advice(line)), (lines or ["git failed"])[0])
        raise UserError(_explained(where, telling.removeprefix("fatal: "), _NO_REPOSITORY))


def _once(said: Sequence[str]) -> str:
    """Messages in one, without those that others repeat."""
    kept: list[str] = []
    for message in said:
        if not any(message in other for other in kept):
            kept = [other for other in kept if other not in message] + [message]
    return ": ".join(kept)


def _advice(said: str) -> str | None:
    return next((a for pattern, a in _ADVICE.items() if re.search(pattern, said, re.IGNORECASE)), None)


def _explained(where: str, said: str, otherwise: str) -> str:
    return f"{where}: {said}: {_advice(said) or otherwise}"
