"""demo: serves the page of bundles and opens it in the browser, or writes it for a static host."""

import shutil
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing, write_bytes

PACKAGE = Path("artifacts/package")
DEFAULT_MODE = "dynamic_range"


@dataclass(frozen=True)
class Request:
    """The arguments of the command line.

    Attributes:
      bundles: folders; the page starts with the model of the first.
      port: 0 takes any.
      opens_browser: whether the browser is opened.
      out: the folder to write the page to instead.
    """

    bundles: Sequence[Path]
    port: int
    opens_browser: bool
    out: Path | None


@click.command("demo")
@click.argument("bundles", nargs=-1, metavar="[BUNDLE]...", type=click.Path(path_type=Path))
@click.option("--mode", help=f"The model to start with.  [default: {DEFAULT_MODE}, or the newest]")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes any.")
@click.option("--open/--no-open", "opens_browser", default=True, help="Open the browser, or only print the address.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the page as a folder for a static host instead.")
def command(bundles: tuple[Path, ...], mode: str | None, port: int, opens_browser: bool, out: Path | None) -> None:
    """Serve the page of bundles: folders that hold SHA256SUMS; without any, all of artifacts/package/ that have a page.

    Every bundle is checked against its SHA256SUMS first; nothing but its page and its model is served. Ctrl-C ends it.

    Example: autocomplete demo --mode float32
    """
    run(Request(with_mode_first(bundles or packaged(), mode), port, opens_browser, out))


def packaged() -> list[Path]:
    """Returns the packaged bundles that have a page, the newest first; raises UserError where there is none."""
    bundles = [page.parents[1] for page in PACKAGE.glob("*/web/models.json")]
    if not bundles:
        raise UserError(f"no bundle with a page in {PACKAGE}/: install Node 20 or newer with npm and run `dvc repro`")
    return sorted(bundles, key=lambda bundle: (bundle / "manifest.json").stat().st_mtime, reverse=True)


def with_mode_first(bundles: Sequence[Path], mode: str | None) -> list[Path]:
    """Returns the bundles, that of a mode first; raises UserError where none has the mode by its manifest."""
    from autocomplete.bundle import manifest
    from autocomplete.bundle.contract import Manifest

    for bundle in bundles:
        if not bundle.is_dir():
            raise UserError(f"{bundle} is no folder")
    modes = {bundle: Manifest.read(bundle / manifest.FILE).mode for bundle in bundles}
    if mode is not None and mode not in modes.values():
        raise UserError(f"--mode {mode}: no such bundle with a page; there are: {', '.join(sorted(modes.values()))}")
    return sorted(bundles, key=lambda bundle: modes[bundle] != (mode or DEFAULT_MODE))


def run(request: Request) -> None:
    """Checks the bundles, then serves their page until Ctrl-C, or writes it."""
    from autocomplete.bundle import integrity
    from autocomplete.page import server, site

    for bundle in request.bundles:
        integrity.check(bundle)
    content = site.compose(request.bundles)
    if request.out is not None:
        write_site(content, request.out)
        print(
            f"{request.out}: {len(content)} files for a static host; docs/app-team/browser.md says which headers help"
        )
        return
    with server.listening(content, request.port) as running:
        names = ", ".join(bundle.name for bundle in request.bundles)
        print(f"{running.address}  {names}  (Ctrl-C ends it)", flush=True)
        if request.opens_browser:
            threading.Thread(target=webbrowser.open, args=(running.address,), daemon=True).start()
        running.serve()


def write_site(content: Mapping[str, Path | bytes], out: Path) -> None:
    """Writes a site into a folder, in the place of an earlier one; raises UserError where something else is there.

    Args:
      content: path below the folder → the file to copy, or its bytes.
      out: the folder.
    """
    if out.exists() and not (out / "models.json").is_file():
        raise UserError(f"{out} is there and is no page that this command wrote; name another folder")
    with replacing(out) as folder:
        for name, source in content.items():
            if isinstance(source, bytes):
                write_bytes(folder / name, source)
            else:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / name)
