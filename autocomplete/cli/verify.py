"""verify: checks a bundle's signature, files, manifest and models."""

import importlib.util
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from autocomplete.bundle import signature
from autocomplete.common.errors import UserError

_SMOKE_TEST_S = 600


@dataclass(frozen=True)
class Request:
    """The arguments of the command line.

    Attributes:
      bundle: a folder or an http(s) address.
      key: the public key that the bundle must be signed by.
    """

    bundle: str
    key: Path | None

    @property
    def is_remote(self) -> bool:
        """Whether the bundle is at an address."""
        return self.bundle.startswith(("http://", "https://"))


@click.command("verify")
@click.argument("bundle", metavar="FOLDER|URL")
@click.option("--key", type=click.Path(path_type=Path), help="Public key (PEM) that the bundle must be signed by.")
def command(bundle: str, key: Path | None) -> None:
    """Check a bundle: the folder, on disk or at an http(s) address, that holds SHA256SUMS.

    In this order: the signature; every file's SHA-256, and that no other file is there; the manifest against its schema
    and against the files; archives; and that each model loads and answers. Exit status 0 only if all of it is right.

    Without --key the Ed25519 key is keys/release.pem of this repository, where there is one. A key that comes with the
    bundle proves nothing and is not looked for.

    Example: autocomplete verify artifacts/package/dynamic_range
    """
    if key is None and signature.PUBLIC_KEY.is_file():
        key = signature.PUBLIC_KEY
    run(Request(bundle, key))


def run(request: Request) -> None:
    """Checks a bundle on disk or at an address; raises UserError at the first check that fails."""
    if not request.is_remote:
        check(Path(request.bundle), request.key)
        return
    from autocomplete.release import download

    with tempfile.TemporaryDirectory() as temporary:
        download.fetch(download.http_source(request.bundle), Path(temporary))
        check(Path(temporary), request.key)


def check(folder: Path, key: Path | None) -> None:
    """Checks a folder and prints each result; raises UserError at the first check that fails."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder")
    print(f"signature   {check_signature(folder, key)}")
    print(f"files       {check_files(folder)}")
    print(check_models(folder), end="")


def check_models(folder: Path) -> str:
    """Has each model answer, in a process of its own; raises UserError where one does not load or answer.

    Returns:
      A line for each model, or one that says why none was loaded.
    """
    if importlib.util.find_spec("ai_edge_litert") is None:
        return "models      not loaded: this environment has no LiteRT (`uv sync` installs it)\n"
    done = subprocess.run(
        [sys.executable, "-m", "autocomplete.bundle.smoke_test", str(folder)],
        capture_output=True,
        text=True,
        timeout=_SMOKE_TEST_S,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"]
        raise UserError(f"{folder}: a model does not load or answer: {lines[-1].removeprefix('error: ')}")
    return done.stdout


def check_signature(folder: Path, key: Path | None) -> str:
    """Checks the signature of SHA256SUMS; raises UserError where it is not by the key's owner or missing.

    Returns:
      Who signed the bundle; without a key, that this was not checked.
    """
    from autocomplete.bundle import integrity

    signature_file, hashes_file = folder / integrity.SIGNATURE, folder / integrity.FILE
    if not hashes_file.is_file():
        raise UserError(f"{hashes_file} is missing: this is no bundle, or not all of it was copied")
    if key is None:
        return "not checked: no key (--key public.pem)" if signature_file.is_file() else "none"
    if not signature_file.is_file():
        raise UserError(f"{signature_file} is missing, and {key} says that there is to be a signature")
    signature.check(key, hashes_file.read_bytes(), signature_file.read_bytes())
    return f"by the owner of {key}"


def check_files(folder: Path) -> str:
    """Checks hashes, manifest and archives; raises UserError where a file is missing, unlisted or changed.

    Returns:
      How many files there are.
    """
    from autocomplete.bundle import integrity, manifest
    from autocomplete.bundle.contract import Manifest
    from autocomplete.release import archives

    hashes = integrity.check(folder)
    if manifest.FILE not in hashes:
        raise UserError(f"{folder / manifest.FILE} is missing: this is no bundle of this project")
    manifest.check_files(Manifest.read(folder / manifest.FILE), folder, hashes)
    for name in hashes:
        if name.endswith(archives.SUFFIXES):
            archives.check(folder / name)
    return f"{len(hashes)}, all listed and unchanged; the manifest agrees"
