"""Releases in a git repository: GTO's tags register them, DVC reads their files from the tagged commit's remote."""

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
from typing import TypeVar

import dvc.api
import gto.api
from dvc.api import DVCFileSystem
from dvc.repo.open_repo import clean_repos

from autocomplete.common.errors import UserError, chain
from autocomplete.release.download import FileSource, MissingFileError, without_credentials
from autocomplete.release.versions import AvailableReleases

_PREFIX = "autocomplete-"
_CLONE_S, _SILENCE_S = 600, 120  # the longest that a clone takes; that a call into DVC takes
_CHUNK_BYTES = 1 << 18
Result = TypeVar("Result")

# Error messages of git, DVC and the libraries below it, and what to do about them; the first that matches counts.
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
_REPOSITORY_ADVICE = "check the address of the repository"
_DATA_ADVICE = "what the release needs is not there or damaged: tell the model team"


@dataclass(frozen=True)
class Repository:
    """A repository of releases.

    Attributes:
      source: its address or path, without credentials, for messages.
      clone: the path of a bare clone.
      dvc_repository: what DVC opens: the clone, or the source where it is a path, as remotes may be relative to it.
    """

    source: str
    clone: Path
    dvc_repository: str


@contextlib.contextmanager
def repository(source: str) -> Iterator[Repository]:
    """Clones a repository for as long as the block lasts; raises UserError where that fails."""
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary) / "clone.git"
        shown_source = without_credentials(source)
        _git(f"the repository {shown_source}", "clone", "--quiet", "--bare", "--", source, str(clone))
        try:
            yield Repository(shown_source, clone, source if Path(source).is_dir() else str(clone))
        finally:
            clean_repos()


def _artifact_name(mode: str) -> str:
    return _PREFIX + mode.replace("_", "-")


def available(repository: Repository, mode: str) -> AvailableReleases:
    """Returns the releases of a mode that GTO has registered."""
    where = f"the tags of {repository.source}"
    artifacts = _call(partial(gto.api.show, repository.clone), where)
    modes = [name.removeprefix(_PREFIX).replace("-", "_") for name in artifacts if name.startswith(_PREFIX)]
    artifact = _artifact_name(mode)
    if artifact not in artifacts:
        return AvailableReleases(repository.source, [], {}, modes)
    entries = _call(partial(gto.api.show, repository.clone, artifact), where)
    versions = [entry["version"].removeprefix("v") for entry in entries if entry["is_active"]]
    stages = {stage: str(version).removeprefix("v") for stage, version in artifacts[artifact]["stage"].items()}
    return AvailableReleases(repository.source, versions, stages, modes)


def file_source(repository: Repository, mode: str, version: str) -> FileSource:
    """Returns the files of the bundle of a registered version."""
    artifact = _artifact_name(mode)
    tagged = f"{repository.source} {artifact}@v{version}"
    show = partial(dvc.api.artifacts_show, artifact, version=f"v{version}", repo=repository.dvc_repository)
    location = _call(show, tagged)
    # DVC's site cache, of earlier runs, hides why a remote cannot be read, and lies where others may write.
    config = {"core": {"site_cache_dir": str(repository.clone.with_name("cache"))}}
    filesystem = DVCFileSystem(repository.dvc_repository, rev=location["rev"], config=config)
    where = f"{tagged} at {_call(partial(_remote_url, filesystem), tagged)}"
    paths = set(_call(partial(filesystem.find, location["path"]), where))
    return FileSource(tagged, partial(_dvc_chunks, filesystem, paths, location["path"], where))


def public_key(repository: Repository, mode: str, version: str, path: Path) -> Path | None:
    """Copies the public key from a path in the tagged commit to a file that lasts as long as the clone.

    Returns:
      The path of the copy; None where the commit has no such file.
    """
    tagged_path = f"{_artifact_name(mode)}@v{version}:{path.as_posix()}"
    command = ["git", "-C", str(repository.clone), "show", tagged_path]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        return None
    copy = repository.clone.with_name("release.pem")
    copy.write_bytes(done.stdout)
    return copy


def _remote_url(filesystem: DVCFileSystem) -> str:
    """Returns the address of the default remote of the commit that DVC's filesystem shows."""
    config = filesystem.repo.config
    remote = config["remote"].get(config["core"].get("remote"), {})
    return without_credentials(remote.get("url", "no remote"))


def _dvc_chunks(filesystem: DVCFileSystem, paths: set[str], folder: str, where: str, name: str) -> Iterator[bytes]:
    path = f"{folder}/{name}"
    if path not in paths:
        raise MissingFileError(f"{where} has no {path}")
    with _call(partial(filesystem.open, path), where) as file:
        while chunk := _call(partial(file.read, _CHUNK_BYTES), where):
            yield chunk


def _call(function: Callable[[], Result], where: str) -> Result:
    """Calls into DVC or GTO with a time limit.

    Raises:
      UserError: for any exception, as each of the libraries below DVC has its own.
    """

    def give_up(*_: object) -> None:
        raise TimeoutError(f"nothing came for {_SILENCE_S} s")

    previous_handler = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(_SILENCE_S)
    try:
        return function()
    except Exception as error:
        raise UserError(_with_advice(where, _joined(chain(error)), _DATA_ADVICE)) from error
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous_handler)


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
        message = next((line for line in lines if _advice(line)), (lines or ["git failed"])[0])
        raise UserError(_with_advice(where, message.removeprefix("fatal: "), _REPOSITORY_ADVICE))


def _joined(messages: Sequence[str]) -> str:
    """Joins messages, but for those that another one contains."""
    kept: list[str] = []
    for message in messages:
        if not any(message in other for other in kept):
            kept = [other for other in kept if other not in message] + [message]
    return ": ".join(kept)


def _advice(message: str) -> str | None:
    return next((a for pattern, a in _ADVICE.items() if re.search(pattern, message, re.IGNORECASE)), None)


def _with_advice(where: str, message: str, default_advice: str) -> str:
    return f"{where}: {message}: {_advice(message) or default_advice}"
