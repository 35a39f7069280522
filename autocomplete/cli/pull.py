"""pull: downloads a released bundle and checks it before it takes the place of the bundle that is there."""

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
    """The arguments of the command line.

    Attributes:
      source: a git repository, or an address with an index.
      query: which release is wanted.
      key: the public key that the bundle must be signed by; None for the default keys.
      out: the folder for the bundle.
      tries_models: whether each model is loaded and has to answer.
    """

    source: str
    query: versions.ReleaseQuery
    key: Path | None
    out: Path
    tries_models: bool

    @property
    def has_index(self) -> bool:
        """Whether the source is an address with an index, and not a git repository."""
        return self.source.startswith(("http://", "https://")) and not self.source.endswith(".git")


@dataclass(frozen=True)
class LocatedRelease:
    """The release that a query means.

    Attributes:
      version: without `v`.
      files: where the bundle is downloaded from.
      sha256sums: the SHA-256 of the bundle's SHA256SUMS, where the source has an index.
      public_key: the key of the source repository, where it has one.
    """

    version: str
    files: download.FileSource
    sha256sums: str | None = None
    public_key: Path | None = None


@click.command("pull")
@click.argument("source")
@click.argument("mode")
@click.option("--version", help="Which release: 1.2.0.  [default: the newest that is no pre-release]")
@click.option("--stage", help="The release that has this stage: prod, staging.")
@click.option("--key", type=click.Path(path_type=Path), help="Public key (PEM) that the bundle must be signed by.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("bundle"),
    show_default=True,
    help="The folder to put the bundle into; a bundle that is there is replaced.",
)
@click.option("--try", "tries_models", is_flag=True, help="Also load each model and have it answer.")
def command(**options: Any) -> None:
    """Download a released bundle of a MODE of quantization (dynamic_range), check it, and only then put it into place.

    SOURCE is where releases are: a git repository (a path, ssh://…, file://…, https://….git, git+https://…), or the
    http(s) address that they were published at for teams without DVC (or that of its index.json).

    Without --key the key is keys/release.pem of this repository or else of SOURCE, where there is one. A key that comes
    with the bundle proves nothing. Credentials are those that git, DVC (S3: AWS_ACCESS_KEY_ID …; SSH: ~/.ssh/config)
    and, for an address, ~/.netrc know.

    The bundle is put into place only if its signature, version and mode, every hash and the manifest are right; a
    failure leaves what was there. Exit status 0 only if all of it is right.

    Example: autocomplete pull https://models.example.org dynamic_range --stage prod --key public.pem
    """
    run(request(**options))


def request(source: str, mode: str, version: str | None, stage: str | None, **others: Any) -> Request:
    """Makes the request of the command's options; raises UserError where version and stage contradict each other."""
    query = versions.ReleaseQuery(mode.replace("-", "_"), version and version.removeprefix("v"), stage)
    return Request(source.rstrip("/"), query, **others)


def run(request: Request) -> None:
    """Puts the bundle into place; raises UserError and leaves what was there if any check fails."""
    if request.out.exists() and not (request.out / integrity.FILE).is_file() and not _is_empty(request.out):
        raise UserError(f"{request.out} holds something else than a bundle, which would be lost: say another --out")
    try:
        with _locate(request) as release, replacing(request.out.resolve()) as folder:
            print(f"release     {request.query.mode} {release.version}, {release.files.name}")
            _download(request, release, folder)
    except OSError as error:
        raise UserError(f"{request.out} cannot be written: {error.strerror or error}") from error
    print(f"written     {request.out}")


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


@contextlib.contextmanager
def _locate(request: Request) -> Iterator[LocatedRelease]:
    """Yields the release, which can be downloaded for as long as the block lasts."""
    if request.has_index:
        yield _locate_by_index(request.source, request.query)
        return
    from autocomplete.release import registry

    mode = request.query.mode
    with registry.repository(request.source.removeprefix("git+")) as repository:
        version = versions.choose(request.query, registry.available(repository, mode))
        files = registry.file_source(repository, mode, version)
        public_key = registry.public_key(repository, mode, version, signature.PUBLIC_KEY)
        yield LocatedRelease(version, files, public_key=public_key)


def _locate_by_index(source: str, query: versions.ReleaseQuery) -> LocatedRelease:
    """Returns the release below an address, or below that of an index."""
    url = source if source.endswith(".json") else f"{source}/{releases.FOLDER}/{releases.FILE}"
    base, _, file = url.rpartition("/")
    folder = download.http_source(base)
    try:
        index = releases.parse(download.read_small(folder, file), f"{folder.name}/{file}")
    except download.MissingFileError:
        raise UserError(
            f"{folder.name}/{file} answers 404: there is no index of releases; a git repository's address ends with "
            ".git or begins with git+"
        ) from None
    version = versions.choose(query, releases.available(index, query.mode, folder.name))
    bundle = index.versions[version].modes[query.mode]
    return LocatedRelease(version, download.http_source(f"{base}/{bundle.path}"), bundle.sha256sums)


def _download(request: Request, release: LocatedRelease, folder: Path) -> None:
    """Downloads a release into an empty folder and checks it; signature and identity come before the large files."""
    own_key = request.key or (signature.PUBLIC_KEY if signature.PUBLIC_KEY.is_file() else None)
    names = {str(folder): release.files.name}
    if release.public_key is not None:
        names[str(release.public_key)] = f"{signature.PUBLIC_KEY} of {download.without_credentials(request.source)}"
    try:
        sizes = download.fetch_manifest(release.files, folder)
        signer = verify.check_signature(folder, own_key or release.public_key)
        print(f"signature   {_with_names(signer, names)}")
        _check_identity(folder, release, request.query.mode)
        download.fetch_files(release.files, folder, sizes)
        print(f"files       {verify.check_files(folder)}")
        print(verify.check_models(folder) if request.tries_models else "", end="")
    except UserError as error:
        raise UserError(_with_names(str(error), names)) from error


def _check_identity(folder: Path, release: LocatedRelease, mode: str) -> None:
    """Raises UserError where SHA256SUMS is not the index's, or the manifest has another version or mode."""
    if release.sha256sums not in (None, sha256(folder / integrity.FILE)):
        raise UserError(f"{folder / integrity.FILE} is not the one that the index names (SHA-256): tell the model team")
    content = Manifest.read(folder / manifest.FILE)
    version = content.release.version if content.release else "without a version"
    if (content.mode, version) != (mode, release.version):
        raise UserError(
            f"{folder / manifest.FILE} says {content.mode} {version}, not {mode} {release.version}: tell the model team"
        )


def _with_names(text: str, names: Mapping[str, str]) -> str:
    """Replaces temporary paths in a message by the names of what they are copies of."""
    for path, name in names.items():
        text = text.replace(path, name)
    return text
