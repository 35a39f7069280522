"""pull: gets a released bundle, checks it, and only then puts it into place.

Usage: python -m autocomplete.cli.pull SOURCE MODE [--version 1.2.0 | --stage prod] [--key public.pem]
  [--out FOLDER] [--try]

  SOURCE      where releases are: a git repository (a path, ssh://…, file://…, https://….git, git+https://…), or the
              http(s) address that they were written to for teams without DVC (or that of its index.json)
  MODE        of quantization: dynamic_range
  --version   which release; without it the newest, one before its time (1.3.0-rc.1) only where there is no other
  --stage     the release whose turn it is: prod, staging
  --key       the Ed25519 public key that the bundle must be signed by; without it keys/release.pem of this
              repository or else of SOURCE, where there is one. A key that comes with the bundle proves nothing.
  --out       the folder to put the bundle into (default: autocomplete); a bundle that is there is replaced
  --try       also loads each model and has it answer, as autocomplete.cli.verify does

Credentials are those that git, DVC (S3: AWS_ACCESS_KEY_ID …; SSH: ~/.ssh/config) and, for an address, ~/.netrc know.
Nothing is put into place before its signature, the version and mode that it says, every hash and the manifest hold; a
failure leaves what was there. Exit status 0 only if all of it holds.

Example: python -m autocomplete.cli.pull https://models.example.org dynamic_range --stage prod --key public.pem
"""

import argparse
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from autocomplete.bundle import integrity, manifest, signature
from autocomplete.cli import verify
from autocomplete.common import config
from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json, replacing, sha256
from autocomplete.release import download, releases, versions


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    source: str
    wanted: versions.Wanted
    key: Path | None
    out: Path
    answers: bool

    @property
    def plain(self) -> bool:
        """Whether the source is an address with an index, not a git repository."""
        return self.source.startswith(("http://", "https://")) and not self.source.endswith(".git")


@dataclass(frozen=True)
class Release:
    """What was found.

    Attributes:
      version: without `v`.
      place: where the bundle lies.
      sha256sums: the SHA-256 of its SHA256SUMS, where the source tells.
      key: the public key that the source says its releases are signed by.
    """

    version: str
    place: download.Place
    sha256sums: str | None = None
    key: Path | None = None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (--help says more)")


def parse(arguments: Sequence[str]) -> Request:
    """Reads the command line; raises UserError with what is allowed."""
    parser = _Parser(prog="pull", add_help=False, allow_abbrev=False)
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("mode", metavar="MODE")
    parser.add_argument("--version")
    parser.add_argument("--stage")
    parser.add_argument("--key", type=Path)
    parser.add_argument("--out", type=Path, default=Path("autocomplete"))
    parser.add_argument("--try", action="store_true", dest="answers")
    given = parser.parse_args(arguments)
    version = given.version and given.version.removeprefix("v")
    wanted = versions.Wanted(given.mode.replace("-", "_"), version, given.stage)
    return Request(given.source.rstrip("/"), wanted, given.key, given.out, given.answers)


def run(request: Request) -> None:
    """Puts the bundle that was asked for into place, or raises UserError and leaves what was there."""
    if request.out.exists() and not (request.out / integrity.FILE).is_file() and not _empty(request.out):
        raise UserError(f"{request.out} holds something else than a bundle, which would be lost: say another --out")
    try:
        with _found(request) as release, replacing(request.out.resolve()) as folder:
            print(f"release     {request.wanted.mode} {release.version}, {release.place.name}")
            _get(request, release, folder)
    except OSError as error:
        raise UserError(f"{request.out} cannot be written: {error.strerror or error}") from error
    print(f"written     {request.out}")


def _empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


@contextlib.contextmanager
def _found(request: Request) -> Iterator[Release]:
    """The release, for as long as the block lasts."""
    if request.plain:
        yield _indexed(request.source, request.wanted)
        return
    from autocomplete.release import registry

    mode = request.wanted.mode
    with registry.repository(request.source.removeprefix("git+")) as repository:
        version = versions.choose(request.wanted, registry.offer(repository, mode))
        place = registry.place(repository, mode, version)
        yield Release(version, place, key=registry.public_key(repository, mode, version, signature.PUBLIC))


def _indexed(source: str, wanted: versions.Wanted) -> Release:
    """The release below an address, by its index."""
    url = source if source.endswith(".json") else f"{source}/{releases.FOLDER}/{releases.FILE}"
    base, _, file = url.rpartition("/")
    home = download.address(base)
    try:
        listed = releases.parse(download.small(home, file), f"{home.name}/{file}")
    except download.MissingError:
        raise UserError(
            f"{home.name}/{file} answers 404: there is no index of releases; a git repository's address ends with .git "
            "or begins with git+"
        ) from None
    version = versions.choose(wanted, releases.offer(listed, wanted.mode, home.name))
    entry = listed["versions"][version]["modes"][wanted.mode]
    return Release(version, download.address(f"{base}/{entry['path']}"), entry["sha256sums"])


def _get(request: Request, release: Release, folder: Path) -> None:
    """Downloads a release into an empty folder and checks it, what tells of it before its many bytes."""
    ours = request.key or (signature.PUBLIC if signature.PUBLIC.is_file() else None)
    named = {str(folder): release.place.name}
    if release.key is not None:
        named[str(release.key)] = f"{signature.PUBLIC} of {download.without_login(request.source)}"
    try:
        sizes = download.listing(release.place, folder)
        signed = verify.signed(folder, ours or release.key)
        print(f"signature   {_named(signed, named)}")
        _expect(folder, release, request.wanted.mode)
        download.files(release.place, folder, sizes)
        print(f"files       {verify.whole(folder)}")
        print(verify.alive(folder) if request.answers else "", end="")
    except UserError as error:
        raise UserError(_named(str(error), named)) from error


def _expect(folder: Path, release: Release, mode: str) -> None:
    """Raises UserError where a bundle is another than the one that was asked for."""
    if release.sha256sums not in (None, sha256(folder / integrity.FILE)):
        raise UserError(f"{folder / integrity.FILE} is not the one that the index names (SHA-256): tell the model team")
    described = read_json(folder / manifest.FILE)
    says = f"{described['mode']} {(described['release'] or {}).get('version', 'without a version')}"
    if says != f"{mode} {release.version}":
        raise UserError(f"{folder / manifest.FILE} says {says}, not {mode} {release.version}: tell the model team")


def _named(text: str, names: Mapping[str, str]) -> str:
    """A message in which temporary paths have the names of what they are copies of."""
    for path, name in names.items():
        text = text.replace(path, name)
    return text


if __name__ == "__main__":
    config.command(lambda arguments: run(parse(arguments)))
