"""verify: is a bundle whole, genuine and alive?"""

import importlib.util
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from autocomplete.bundle import signature
from autocomplete.common.errors import UserError

_ANSWER_S = 600


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    bundle: str
    key: Path | None

    @property
    def remote(self) -> bool:
        """Whether the bundle is at an address."""
        return self.bundle.startswith(("http://", "https://"))


@click.command("verify")
@click.argument("bundle", metavar="FOLDER|URL")
@click.option("--key", type=click.Path(path_type=Path), help="Public key (PEM) that the bundle must be signed by.")
def command(bundle: str, key: Path | None) -> None:
    """Check a bundle: the folder, on disk or at an http(s) address, that holds SHA256SUMS.

    In this order: the signature; every file's SHA-256, and that no file is too many; the manifest against its schema
    and against the files; archives; and that each model loads and answers. Exit status 0 only if all of it holds.

    Without --key the Ed25519 key is keys/release.pem of this repository, where there is one. A key that comes with the
    bundle proves nothing and is not looked for.

    Example: autocomplete verify artifacts/package/dynamic_range
    """
    if key is None and signature.PUBLIC_KEY.is_file():
        key = signature.PUBLIC_KEY
    run(Request(bundle, key))


def run(request: Request) -> None:
    """Checks the bundle, or raises UserError with the first thing that does not hold."""
    if not request.remote:
        check(Path(request.bundle), request.key)
        return
    from autocomplete.release import download

    with tempfile.TemporaryDirectory() as temporary:
        download.fetch(download.address(request.bundle), Path(temporary))
        check(Path(temporary), request.key)


def check(folder: Path, key: Path | None) -> None:
    """Checks a folder, telling of each thing that holds; raises UserError at the first that does not."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder")
    print(f"signature   {signed(folder, key)}")
    print(f"files       {whole(folder)}")
    print(alive(folder), end="")


def alive(folder: Path) -> str:
    """What each model answers, a line each; raises UserError where one does not load or answer."""
    if importlib.util.find_spec("ai_edge_litert") is None:
        return "models      not loaded: this environment has no LiteRT (`uv sync` installs it)\n"
    done = subprocess.run(
        [sys.executable, "-m", "autocomplete.bundle.smoke_test", str(folder)],
        capture_output=True,
        text=True,
        timeout=_ANSWER_S,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
        raise UserError(f"{folder}: a model does not load or answer: {said.removeprefix('error: ')}")
    return done.stdout


def signed(folder: Path, key: Path | None) -> str:
    """What is known of the bundle's maker; raises UserError where the signature is missing or wrong."""
    from autocomplete.bundle import integrity

    path, listed = folder / integrity.SIGNATURE, folder / integrity.FILE
    if not listed.is_file():
        raise UserError(f"{listed} is missing: this is no bundle, or not all of it was copied")
    if key is None:
        return "not checked: no key (--key public.pem)" if path.is_file() else "none"
    if not path.is_file():
        raise UserError(f"{path} is missing, and {key} says that there is to be a signature")
    signature.check(key, listed.read_bytes(), path.read_bytes())
    return f"by the owner of {key}"


def whole(folder: Path) -> str:
    """How many files there are, all of them listed and unchanged; raises UserError otherwise."""
    from autocomplete.bundle import integrity, manifest
    from autocomplete.bundle.contract import Manifest
    from autocomplete.release import archives

    listed = integrity.check(folder)
    if manifest.FILE not in listed:
        raise UserError(f"{folder / manifest.FILE} is missing: this is no bundle of this project")
    manifest.check_files(Manifest.read(folder / manifest.FILE), folder, listed)
    for name in listed:
        if name.endswith(archives.SUFFIXES):
            archives.check(folder / name)
    return f"{len(listed)}, all listed and unchanged; the manifest agrees"
