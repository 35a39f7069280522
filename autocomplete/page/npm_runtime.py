"""The page's runtime: LiteRT.js and its WebAssembly, from npm, as web/package-lock.json pins them."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json, write_bytes

PINS = [Path(__file__).parent / name for name in ("web/package.json", "web/package-lock.json")]
_THREADED = "threaded_internal"
# builds of the WebAssembly: without relaxed SIMD (Safari), with it, and with threads
_BUILDS = ("compat_internal", "internal", _THREADED)
_BARE_IMPORT = b'"@litertjs/wasm-utils"'  # a browser can import a path, not the name of a package
_NPM_TIMEOUT_S = 300


def is_threaded(name: str) -> bool:
    """Whether a file of the runtime belongs to the build with threads."""
    return _THREADED in name


def write(folder: Path) -> None:
    """Writes LiteRT.js and its WebAssembly into a folder; npm checks their hashes (SHA-512).

    Raises:
      UserError: if npm is missing or fails, or if LiteRT.js imports its other package in another way.
    """
    with tempfile.TemporaryDirectory() as temporary:
        packages = install(Path(temporary), "--omit=dev") / "@litertjs"
        library = (packages / "core/dist/index.js").read_bytes()
        if library.count(_BARE_IMPORT) != 1:
            raise UserError(
                f"@litertjs/core does not import {_BARE_IMPORT.decode()} once: adapt page/npm_runtime.py to it"
            )
        write_bytes(folder / "index.js", _without_map(library.replace(_BARE_IMPORT, b'"./wasm-utils.js"')))
        write_bytes(folder / "version.txt", f"{_version()}\n".encode())
        write_bytes(folder / "wasm-utils.js", _without_map((packages / "wasm-utils/dist/index.js").read_bytes()))
        for build in _BUILDS:
            for suffix in (".js", ".wasm"):
                name = f"litert_wasm_{build}{suffix}"
                write_bytes(folder / name, (packages / "core/wasm" / name).read_bytes())


def _version() -> str:
    """The pinned version of LiteRT.js."""
    return str(read_json(PINS[0])["dependencies"]["@litertjs/core"])


def _without_map(script: bytes) -> bytes:
    """A script without the URL of its source map, which is not shipped."""
    return re.sub(rb"//# sourceMappingURL=\S+\s*$", b"", script)


def install(folder: Path, *options: str) -> Path:
    """Installs the packages of the lock file in a folder, from npm's cache if possible; returns its `node_modules`.

    Raises:
      UserError: if npm is missing or fails.
    """
    if shutil.which("npm") is None:
        raise UserError(
            "npm, which brings the page's runtime, is not installed: install Node 20 or newer with npm, or set page to "
            "false in conf/package/default.yaml"
        )
    for pin in PINS:
        shutil.copyfile(pin, folder / pin.name)
    quiet = ("--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
    done = subprocess.run(
        ["npm", "ci", *quiet, *options], cwd=folder, capture_output=True, text=True, timeout=_NPM_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        prefix = "npm error "
        errors = [line.removeprefix(prefix) for line in done.stderr.splitlines() if line.startswith(prefix)]
        reason = "; ".join(errors[:2]) or f"status {done.returncode}"
        raise UserError(
            f"npm cannot install what autocomplete/page/web/package-lock.json pins ({reason}): mend the network or "
            "npm's registry, or set package.page to false in conf/package/"
        )
    return folder / "node_modules"
