"""web/: the page that runs portable.tflite in a browser, as static files for any host.

Its sources are in `web/` beside this file, and npm_runtime.py writes its runtime. Its word lists are those of the
package that validate measures with.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from autocomplete.bundle.contract import Manifest
from autocomplete.bundle.manifest import PORTABLE
from autocomplete.common.files import sha256, write_bytes
from autocomplete.page import npm_runtime, site
from autocomplete.page.site import PageModel, PageModels

FOLDER, MODEL = "web", PORTABLE
_SOURCES = Path(__file__).with_name("web")
_THREADS_MIN_BYTES = 32_000_000  # of a model, from which on more threads than one may pay


def write(manifest: Manifest, runtime: Path, folder: Path) -> None:
    """Writes `web/` into a bundle that holds portable.tflite; the model itself stays where it is.

    Args:
      manifest: the bundle's manifest; its `files` are not read.
      runtime: the folder that `npm_runtime.write` filled.
      folder: the bundle's folder.
    """
    page, model = folder / FOLDER, describe(manifest, folder / MODEL)
    for source in sorted(_SOURCES.iterdir()):
        if source.is_file() and source not in npm_runtime.PINS:
            write_bytes(page / source.name, source.read_bytes())
    for source in sorted(runtime.iterdir()):
        if model.threads or not npm_runtime.is_threaded(source.name):
            write_bytes(page / site.RUNTIME / source.name, source.read_bytes())
    write_bytes(page / "words.json", words(manifest.metrics.filter.languages))
    files = {p.relative_to(page).as_posix(): p for p in page.rglob("*") if p.is_file()}
    for name, content in site.generated(files, PageModels(title=manifest.title, models=[model])).items():
        write_bytes(page / name, content)


def describe(manifest: Manifest, path: Path) -> PageModel:
    """A bundle's model for models.json; `path` is its file, in the folder above the page."""
    size, lengths = path.stat().st_size, manifest.lengths
    return PageModel(
        mode=manifest.mode,
        file=f"../{path.name}",
        bytes=size,
        sha256=sha256(path),
        words=manifest.context_window.words,
        longest=lengths.sequence_length - lengths.context_window,
        threads=size >= _THREADS_MIN_BYTES,
    )


def words(languages: Sequence[str]) -> bytes:
    """words.json: the word lists of some languages as regular expressions, and the characters that look like letters.

    It has the same words and word boundaries as `evaluate.word_filter.word_filter`; `web/filter.js` applies them.
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
    """A word between its boundaries, in JavaScript's syntax: of ASCII letters, of any letters, or none in Han."""
    from glin_profanity.filters.word_matcher import edge_kind

    head = {"ascii": r"\b", "native": r"(?<![\p{L}\p{N}_])", "kata": r"(?<!\p{sc=Katakana})", "free": ""}
    tail = {"ascii": r"\b", "native": r"(?![\p{L}\p{N}_])", "kata": r"(?!\p{sc=Katakana})", "free": ""}
    text = re.sub(r"[\\^$.*+?()\[\]{}|/]", r"\\\g<0>", word)
    return head[edge_kind(word[0], len(word))] + text + tail[edge_kind(word[-1], len(word))]
