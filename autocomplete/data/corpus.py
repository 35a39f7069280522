"""English that anybody can get: the docstrings of the standard library and of packages from the index."""

import ast
import hashlib
import inspect
import os
import re
import shutil
import subprocess
import sysconfig
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autocomplete.common.errors import UserError
from autocomplete.common.processes import pool

_WORD = re.compile(r"\w+")
_FENCED = re.compile(r"^([ \t]*)(```|~~~).*?(^\1\2[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
# What stands below these is no prose.
_DIRECTIVE = re.compile(
    r"\.\. (code|code-block|sourcecode|parsed-literal|ipython|jupyter-execute|testcode|testsetup|doctest|plot|math|"
    r"image|figure|graphviz|digraph|raw|table|list-table|csv-table|bokeh-plot|autosummary|toctree)::"
)


@dataclass(frozen=True)
class CorpusSettings:
    """Which docstrings are kept, and how they are split."""

    minimum_bytes: int
    maximum_bytes: int
    minimum_letters: float
    evaluation_per_mille: int
    shingle_words: int
    near_duplicate: float


@dataclass(frozen=True)
class Corpus:
    """Documents for training and, disjoint from them and from their near-duplicates, for evaluation."""

    train: list[str]
    evaluation: list[str]

    @property
    def sha256(self) -> str:
        """The hash over every document in order: the lineage of what was trained on it."""
        digest = hashlib.sha256()
        for part in (self.train, self.evaluation):
            for text in part:
                digest.update(hashlib.sha256(text.encode()).digest())
            digest.update(b"|")
        return digest.hexdigest()


def download_wheels(packages: Path, folder: Path) -> None:
    """Downloads the packages of a requirements file, pinned by version, without what they need; keeps what is there.

    Raises:
      UserError: where uv is missing, or a package cannot be had.
    """
    if shutil.which("uv") is None:
        raise UserError("uv is missing: it brings the packages to read; install it (pip install uv)")
    folder.mkdir(parents=True, exist_ok=True)
    pip = ["uv", "tool", "run", "--python", "3.11", "pip", "download", "--quiet", "--disable-pip-version-check"]
    chosen = ["--no-deps", "--only-binary=:all:", "--requirement", str(packages), "--dest", str(folder)]
    done = subprocess.run([*pip, *chosen], capture_output=True, text=True, check=False)
    if done.returncode:
        why = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise UserError(f"the packages of {packages} cannot be downloaded: {why[-1] if why else 'pip failed'}")


def docstrings(wheels: Path, minimum_letters: float) -> Iterator[str]:
    """The prose in the docstrings of the standard library, then of each wheel in a folder, in a fixed order."""
    with pool(os.cpu_count() or 1, forked=True) as processes:  # parsing is what takes time
        jobs = [processes.submit(_of_library, minimum_letters)]
        jobs += [processes.submit(_of_wheel, wheel, minimum_letters) for wheel in sorted(wheels.glob("*.whl"))]
        for job in jobs:
            yield from job.result()


def _of_library(minimum_letters: float) -> list[str]:
    library = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(p for p in library.rglob("*.py") if "site-packages" not in p.parts)
    return [text for path in files for text in of_source(path.read_bytes(), minimum_letters)]


def _of_wheel(wheel: Path, minimum_letters: float) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".py"))
        return [text for name in names for text in of_source(archive.read(name), minimum_letters)]


def of_source(content: bytes, minimum_letters: float) -> Iterator[str]:
    """The prose in the docstrings of a file's module, classes and functions."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):
        return  # templates and deliberately broken test files are not text
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text:
                yield prose(inspect.cleandoc(text), minimum_letters)


def prose(text: str, minimum_letters: float) -> str:
    """The paragraphs that are sentences: no sessions, code, formulas, pictures or tables; no blanks at line ends."""
    kept: list[str] = []
    code: int | None = None  # the indentation of what announced a block of code
    for paragraph in re.split(r"\n\s*?\n(?=\s*\S)", _FENCED.sub("", text)):
        lines = paragraph.strip("\n").split("\n")
        indentation = _indentation(lines[0])
        if code is not None and indentation > code:
            continue
        code = None
        directive = _DIRECTIVE.match(lines[0].lstrip())
        if directive or lines[-1].rstrip().endswith("::"):
            code = _indentation(lines[-1] if not directive else lines[0])
        if not directive and ">>>" not in paragraph and _share_of_letters(paragraph) >= minimum_letters:
            kept.append("\n".join(line.rstrip() for line in lines).rstrip())
    return "\n\n".join(kept)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _share_of_letters(text: str) -> float:
    """How many of the visible characters are letters of ASCII."""
    visible = [c for c in text if not c.isspace()]
    return sum(c.isascii() and c.isalpha() for c in visible) / max(len(visible), 1)


def build(texts: Iterable[str], settings: CorpusSettings) -> Corpus:
    """Filters, drops near-duplicates, and splits by document hash.

    A document is dropped when `near_duplicate` or more of its word shingles stand in documents kept before it.
    Training documents are taken first, so no evaluation document resembles a training document.
    """
    unique = {hashlib.sha256(t.encode("utf-8", "replace")).digest(): t for t in texts if _acceptable(t, settings)}
    held_out = {k for k in unique if int.from_bytes(k[:4], "big") % 1000 < settings.evaluation_per_mille}
    ordered = sorted(unique, key=lambda key: (key in held_out, key))
    seen: set[int] = set()
    train: list[str] = []
    evaluation: list[str] = []
    for key in ordered:
        shingles = _shingles(unique[key], settings.shingle_words)
        known = sum(s in seen for s in shingles)
        if known >= settings.near_duplicate * len(shingles):
            continue
        seen.update(shingles)
        (evaluation if key in held_out else train).append(unique[key])
    return Corpus(train, evaluation)


def _acceptable(text: str, settings: CorpusSettings) -> bool:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # lone surrogates from tests of codecs
        return False
    if not settings.minimum_bytes <= size <= settings.maximum_bytes:
        return False
    return _share_of_letters(text) >= settings.minimum_letters


def _shingles(text: str, words: int) -> list[int]:
    """Hashes of all runs of `words` words; a shorter text is one shingle."""
    hashes = np.array([zlib.crc32(w.lower().encode()) for w in _WORD.findall(text)], np.uint64)
    if len(hashes) <= words:
        return [int(zlib.crc32(hashes.tobytes()))]
    rolling = np.zeros(len(hashes) - words + 1, np.uint64)
    for i in range(words):  # a polynomial in an odd multiplier modulo 2**64
        rolling = rolling * np.uint64(0x9E3779B97F4A7C15) + hashes[i : i + len(rolling)]
    return [int(value) for value in np.unique(rolling)]
