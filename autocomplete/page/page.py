"""web/: the page that runs portable.tflite in a browser, as static files for any host.

Sources are in `web/` beside this file; LiteRT.js comes from npm, whose lock file there pins it; the word list is
that of the package which validate measures with.
"""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autocomplete.bundle.manifest import PORTABLE
from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json, sha256, write_bytes
from autocomplete.page import site

FOLDER, MODEL = "web", PORTABLE
_SOURCES = Path(__file__).with_name("web")
_PINS = ("package.json", "package-lock.json")
# where more threads than one may pay, and the page may ask for them
_THREADS_FROM = 32_000_000  # bytes
# without relaxed SIMD (Safari), with it, and with threads
_USUAL_KINDS, _THREADED = ("compat_internal", "internal"), "threaded_internal"
_BARE = b'"@litertjs/wasm-utils"'  # a name that a browser cannot look up
_NPM_S = 300


def write(manifest: Mapping[str, Any], folder: Path) -> None:
    """Writes `web/` into a bundle that holds portable.tflite; the model itself stays where it is.

    Args:
      manifest: the bundle's manifest; its `files` are not read.
      folder: the bundle's folder.

    Raises:
      UserError: where npm cannot bring LiteRT.js.
    """
    page, model = folder / FOLDER, described(manifest, folder / MODEL)
    for source in sorted(_SOURCES.iterdir()):
        if source.is_file() and source.name not in _PINS:
            write_bytes(page / source.name, source.read_bytes())
    add_runtime(page / site.RUNTIME, threads=model["threads"])
    write_bytes(page / "words.json", words(manifest["metrics"]["filter"]["languages"]))
    files = {p.relative_to(page).as_posix(): p for p in page.rglob("*") if p.is_file()}
    for name, content in site.generated(files, manifest["title"], [model]).items():
        write_bytes(page / name, content)


def described(manifest: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What the page must know of a model: where it is, its hash, and the bounds of what a user may choose."""
    size, lengths = path.stat().st_size, manifest["lengths"]
    return {
        "mode": manifest["mode"],
        "file": f"../{path.name}",
        "bytes": size,
        "sha256": sha256(path),
        "words": manifest["context_window"]["words"],
        "longest": lengths["sequence_length"] - lengths["context_window"],
        "threads": size >= _THREADS_FROM,
    }


def available() -> bool:
    """Whether npm is there, which brings LiteRT.js."""
    return shutil.which("npm") is not None


def add_runtime(folder: Path, threads: bool) -> None:
    """Writes LiteRT.js and its WebAssembly, as the lock file pins them; npm checks their hashes (SHA-512).

    Raises:
      UserError: where npm fails, or brings something that this function does not know.
    """
    with tempfile.TemporaryDirectory() as temporary:
        packages = install(Path(temporary), "--omit=dev") / "@litertjs"
        library = (packages / "core/dist/index.js").read_bytes()
        if library.count(_BARE) != 1:
            raise UserError(
                f"@litertjs/core does not import {_BARE.decode()} once: adapt autocomplete/page/page.py to it"
            )
        write_bytes(folder / "index.js", _without_map(library.replace(_BARE, b'"./wasm-utils.js"')))
        write_bytes(folder / "version.txt", f"{_version()}\n".encode())
        write_bytes(folder / "wasm-utils.js", _without_map((packages / "wasm-utils/dist/index.js").read_bytes()))
        for kind in (*_USUAL_KINDS, *([_THREADED] if threads else [])):
            for suffix in (".js", ".wasm"):
                name = f"litert_wasm_{kind}{suffix}"
                write_bytes(folder / name, (packages / "core/wasm" / name).read_bytes())


def _version() -> str:
    """Of LiteRT.js."""
    return str(read_json(_SOURCES / "package.json")["dependencies"]["@litertjs/core"])


def _without_map(script: bytes) -> bytes:
    """A script without the address of its source map, which is not shipped."""
    return re.sub(rb"//# sourceMappingURL=\S+\s*$", b"", script)


def install(folder: Path, *options: str) -> Path:
    """The packages of the lock file in a folder; returns its `node_modules`. npm's own cache spares the network.

    Raises:
      UserError: where npm fails.
    """
    for name in _PINS:
        shutil.copyfile(_SOURCES / name, folder / name)
    quiet = ("--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
    done = subprocess.run(
        ["npm", "ci", *quiet, *options], cwd=folder, capture_output=True, text=True, timeout=_NPM_S, check=False
    )
    if done.returncode != 0:
        said = [line.removeprefix("npm error ") for line in done.stderr.splitlines() if line.startswith("npm error ")]
        reason = "; ".join(said[:2]) or f"status {done.returncode}"
        raise UserError(
            f"npm cannot install what autocomplete/page/web/package-lock.json pins ({reason}): mend the network or "
            "npm's registry, or set package.page to false in conf/package/"
        )
    return folder / "node_modules"


def words(languages: Sequence[str]) -> bytes:
    """words.json: the lists of some languages as regular expressions, and the signs that pass for letters.

    The same words and borders as `measure.profanity.word_filter` has; `web/filter.js` applies them.
    """
    from importlib.metadata import version

    from glin_profanity import Filter
    from glin_profanity.utils.unicode import HOMOGLYPHS

    listed = Filter({"languages": list(languages), "obfuscation": "off"}).words
    content = {
        "source": f"glin-profanity {version('glin-profanity')} (MIT)",
        "languages": list(languages),
        "patterns": [_pattern(word) for word in sorted(listed)],
        "lookalikes": HOMOGLYPHS,
    }
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _pattern(word: str) -> str:
    """A word with its borders, as JavaScript writes them: of ASCII letters, of any letters, or none in Han."""
    from glin_profanity.filters.word_matcher import edge_kind

    head = {"ascii": r"\b", "native": r"(?<![\p{L}\p{N}_])", "kata": r"(?<!\p{sc=Katakana})", "free": ""}
    tail = {"ascii": r"\b", "native": r"(?![\p{L}\p{N}_])", "kata": r"(?!\p{sc=Katakana})", "free": ""}
    text = re.sub(r"[\\^$.*+?()\[\]{}|/]", r"\\\g<0>", word)
    return head[edge_kind(word[0], len(word))] + text + tail[edge_kind(word[-1], len(word))]
