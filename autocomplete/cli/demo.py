"""demo: the page of the bundles that are there, in the browser.

Usage: python -m autocomplete.cli.demo [mode=<mode>] [port=<n>] [open=no] [out=<folder>] [FOLDER …]

  FOLDER    a bundle, the folder that holds SHA256SUMS (default: all of artifacts/package/ that have a page)
  mode=     the model to start with (default: dynamic_range, or the newest)
  port=     on loopback (default: 8000; 0 takes any)
  open=no   prints the address, and opens no browser
  out=      writes the page and its models as a folder for any static host, instead of serving them

Every bundle is checked against its SHA256SUMS first; nothing but its page and its model is served. Ctrl-C ends it.

Example: python -m autocomplete.cli.demo mode=float32
"""

import re
import shutil
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autocomplete.common import config
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing, write_bytes

PACKAGE = Path("artifacts/package")
FIRST = "dynamic_range"
_ALLOWED = {"mode": r"\w+", "port": r"\d{1,5}", "open": r"yes|no", "out": r".+"}


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    bundles: Sequence[Path]
    port: int
    opens: bool
    out: Path | None


def parse(arguments: Sequence[str]) -> Request:
    """Reads the command line and finds the bundles; raises UserError with what is allowed."""
    options, folders = {"port": "8000", "open": "yes"}, []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if equals and key in _ALLOWED:
            if not re.fullmatch(_ALLOWED[key], value) or (key == "port" and int(value) > 65535):
                raise UserError(f"{argument}: not allowed (--help says what is)")
            options[key] = value
        elif equals or argument.startswith("-"):
            allowed = ", ".join(f"{k}=" for k in _ALLOWED)
            raise UserError(f"{argument}: unknown; allowed: {allowed} and folders of bundles")
        else:
            folders.append(Path(argument))
    out = Path(options["out"]) if "out" in options else None
    bundles = _ordered(folders or _packaged(), options.get("mode"))
    return Request(bundles, int(options["port"]), options["open"] == "yes", out)


def _packaged() -> list[Path]:
    """The bundles of this project that have a page, the newest first."""
    found = [p.parents[1] for p in PACKAGE.glob("*/web/models.json")]
    if not found:
        raise UserError(f"no bundle with a page in {PACKAGE}/: install Node 20 or newer with npm and run `dvc repro`")
    return sorted(found, key=lambda p: (p / "manifest.json").stat().st_mtime, reverse=True)


def _ordered(bundles: Sequence[Path], mode: str | None) -> list[Path]:
    """The bundles with the one to start with first; a bundle's mode is what its manifest says."""
    from autocomplete.bundle import manifest
    from autocomplete.common.files import read_json

    for bundle in bundles:
        if not bundle.is_dir():
            raise UserError(f"{bundle} is no folder")
    modes = {b: str(read_json(b / manifest.FILE)["mode"]) for b in bundles}
    if mode is not None and mode not in modes.values():
        raise UserError(f"mode={mode}: no such bundle with a page; there are: {', '.join(sorted(modes.values()))}")
    return sorted(bundles, key=lambda b: modes[b] != (mode or FIRST))


def run(request: Request) -> None:
    """Serves the site until Ctrl-C, or writes it."""
    from autocomplete.bundle import integrity
    from autocomplete.page import server, site

    for bundle in request.bundles:
        integrity.check(bundle)
    content = site.compose(request.bundles)
    if request.out is not None:
        write(content, request.out)
        print(f"{request.out}: {len(content)} files for a static host; docs/app-team.md says which headers help")
        return
    with server.listening(content, request.port) as running:
        print(f"{running.address}  {', '.join(b.name for b in request.bundles)}  (Ctrl-C ends it)", flush=True)
        if request.opens:
            threading.Thread(target=webbrowser.open, args=(running.address,), daemon=True).start()
        running.serve()


def write(content: Mapping[str, Path | bytes], out: Path) -> None:
    """Writes a site into a new folder; raises UserError where something else is there."""
    if out.exists() and not (out / "models.json").is_file():
        raise UserError(f"{out} is there and is no page that this command wrote; name another folder")
    with replacing(out) as folder:
        for name, source in content.items():
            if isinstance(source, bytes):
                write_bytes(folder / name, source)
            else:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / name)


if __name__ == "__main__":
    config.command(lambda arguments: run(parse(arguments)))
