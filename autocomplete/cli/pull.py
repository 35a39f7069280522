"""pull: gets a released bundle, checks it, and only then puts it into place."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from autocomplete.bundle import integrity, manifest, signature
from autocomplete.bundle.contract import Manifest
from autocomplete.cli import verify
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing, sha256
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


@click.command("pull")
@click.argument("source")
@click.argument("mode")
@click.option("--version", help="Which release: 1.2.0.  [default: the newest that is no pre-release]")
@click.option("--stage", help="The release whose turn it is: prod, staging.")
@click.option("--key", type=click.Path(path_type=Path), help="Public key (PEM) that the bundle must be signed by.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("bundle"),
    show_default=True,
    help="The folder to put the bundle into; a bundle that is there is replaced.",
)
@click.option("--try", "answers", is_flag=True, help="Also load each model and have it answer.")
def command(**options: Any) -> None:
    """Download a released bundle of a MODE of quantization (dynamic_range), check it, and only then put it into place.

    SOURCE is where releases are: a git repository (a path, ssh://…, file://…, https://….git, git+https://…), or the
    http(s) address that they were published at for teams without DVC (or that of its index.json).

    Without --key the key is keys/release.pem of this repository or else of SOURCE, where there is one. A key that comes
    with the bundle proves nothing. Credentials are those that git, DVC (S3: AWS_ACCESS_KEY_ID …; SSH: ~/.ssh/config)
    and, for an address, ~/.netrc know.

    Nothing is put into place before its signature, the version and mode that it says, every hash and the manifest hold;
    a failure leaves what was there. Exit status 0 only if all of it holds.

    Example: autocomplete pull https://models.example.org dynamic_range --stage prod --key public.pem
    """
    run(request(**options))


def request(source: str, mode: str, version: str | None, stage: str | None, **others: Any) -> Request:
    """What was asked for; raises UserError where version and stage make no sense."""
    wanted = versions.Wanted(mode.replace("-", "_"), version and version.removeprefix("v"), stage)
    return Request(source.rstrip("/"), wanted, **others)


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
        yield Release(version, place, key=registry.public_key(repository, mode, version, signature.PUBLIC_KEY))


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
    entry = listed.versions[version].modes[wanted.mode]
    return Release(version, download.address(f"{base}/{entry.path}"), entry.sha256sums)


def _get(request: Request, release: Release, folder: Path) -> None:
    """Downloads a release into an empty folder and checks it, what tells of it before its many bytes."""
    ours = request.key or (signature.PUBLIC_KEY if signature.PUBLIC_KEY.is_file() else None)
    named = {str(folder): release.place.name}
    if release.key is not None:
        named[str(release.key)] = f"{signature.PUBLIC_KEY} of {download.without_login(request.source)}"
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
    described = Manifest.read(folder / manifest.FILE)
    version = described.release.version if described.release else "without a version"
    says = f"{described.mode} {version}"
    if says != f"{mode} {release.version}":
        raise UserError(f"{folder / manifest.FILE} says {says}, not {mode} {release.version}: tell the model team")


def _named(text: str, names: Mapping[str, str]) -> str:
    """A message in which temporary paths have the names of what they are copies of."""
    for path, name in names.items():
        text = text.replace(path, name)
    return text
