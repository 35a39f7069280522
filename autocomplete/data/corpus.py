"""A corpus of public English: the docstrings of the standard library and of packages from the Python Package Index."""

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
# The content of these directives is not prose.
_DIRECTIVE = re.compile(
    r"\.\. (code|code-block|sourcecode|parsed-literal|ipython|jupyter-execute|testcode|testsetup|doctest|plot|math|"
    r"image|figure|graphviz|digraph|raw|table|list-table|csv-table|bokeh-plot|autosummary|toctree)::"
)


@dataclass(frozen=True)
class CorpusSettings:
    """Which docstrings the corpus keeps, and how it splits them.

    Attributes:
      minimum_bytes: of a document.
      maximum_bytes: of a document.
      minimum_letters: the smallest share of ASCII letters among the visible characters.
      evaluation_per_mille: the share of documents for evaluation, in thousandths.
      shingle_words: words of a shingle.
      near_duplicate: the share of known shingles from which a document is dropped.
    """

    minimum_bytes: int
    maximum_bytes: int
    minimum_letters: float
    evaluation_per_mille: int
    shingle_words: int
    near_duplicate: float


@dataclass(frozen=True)
class Corpus:
    """Documents for training, and documents for evaluation that resemble none of them."""

    train: list[str]
    evaluation: list[str]

    @property
    def sha256(self) -> str:
        """The SHA-256 over all documents in order; it identifies what a model was trained on."""
        digest = hashlib.sha256()
        for part in (self.train, self.evaluation):
            for text in part:
                digest.update(hashlib.sha256(text.encode()).digest())
            digest.update(b"|")
        return digest.hexdigest()


def download_wheels(requirements: Path, folder: Path) -> None:
    """Downloads the packages of a requirements file, pinned by version, without their dependencies.

    Wheels that are in the folder already are kept.

    Raises:
      UserError: if uv is missing, or a package cannot be downloaded.
    """
    if shutil.which("uv") is None:
        raise UserError("uv is missing: it downloads the packages to read; install it (pip install uv)")
    folder.mkdir(parents=True, exist_ok=True)
    pip = ["uv", "tool", "run", "--python", "3.11", "pip", "download", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--only-binary=:all:", "--requirement", str(requirements), "--dest", str(folder)]
    process = subprocess.run([*pip, *options], capture_output=True, text=True, check=False)
    if process.returncode:
        lines = process.stderr.splitlines()
        reasons = [line for line in lines if line.startswith("ERROR")] or lines or ["pip failed"]
        raise UserError(f"the packages of {requirements} cannot be downloaded: {reasons[-1]}")


def docstrings(wheels: Path, minimum_letters: float) -> Iterator[str]:
    """The prose in the docstrings of the standard library, then of each wheel in a folder, in a fixed order."""
    with pool(os.cpu_count() or 1, forked=True) as processes:  # parsing takes most of the time
        jobs = [processes.submit(_library_docstrings, minimum_letters)]
        jobs += [processes.submit(_wheel_docstrings, wheel, minimum_letters) for wheel in sorted(wheels.glob("*.whl"))]
        for job in jobs:
            yield from job.result()


def _library_docstrings(minimum_letters: float) -> list[str]:
    library = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(p for p in library.rglob("*.py") if "site-packages" not in p.parts)
    return [text for path in files for text in source_docstrings(path.read_bytes(), minimum_letters)]


def _wheel_docstrings(wheel: Path, minimum_letters: float) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".py"))
        return [text for name in names for text in source_docstrings(archive.read(name), minimum_letters)]


def source_docstrings(content: bytes, minimum_letters: float) -> Iterator[str]:
    """The prose in the docstrings of a source file: of its module, classes and functions."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):
        return  # templates, and test files that are broken on purpose
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node, clean=False)
            if text:
                yield prose(inspect.cleandoc(text), minimum_letters)


def prose(text: str, minimum_letters: float) -> str:
    """The paragraphs of a docstring that are sentences: no interpreter sessions, code, formulas, images or tables.

    Trailing spaces are removed.
    """
    kept: list[str] = []
    code_indentation: int | None = None  # of the line that introduces a block of code
    for paragraph in re.split(r"\n\s*?\n(?=\s*\S)", _FENCED.sub("", text)):
        lines = paragraph.strip("\n").split("\n")
        indentation = _indentation(lines[0])
        if code_indentation is not None and indentation > code_indentation:
            continue
        code_indentation = None
        directive = _DIRECTIVE.match(lines[0].lstrip())
        if directive or lines[-1].rstrip().endswith("::"):
            code_indentation = _indentation(lines[-1] if not directive else lines[0])
        if not directive and ">>>" not in paragraph and _share_of_letters(paragraph) >= minimum_letters:
            kept.append("\n".join(line.rstrip() for line in lines).rstrip())
    return "\n\n".join(kept)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _share_of_letters(text: str) -> float:
    """The share of ASCII letters among the visible characters."""
    visible = [c for c in text if not c.isspace()]
    return sum(c.isascii() and c.isalpha() for c in visible) / max(len(visible), 1)


def build(texts: Iterable[str], settings: CorpusSettings) -> Corpus:
    """Filters documents, drops near-duplicates, and splits the rest by document hash.

    A document is a near-duplicate if at least the share `near_duplicate` of its word shingles occurs in documents that
    were kept before it. Training documents come first, so no evaluation document resembles a training document.
    """
    unique = {hashlib.sha256(t.encode("utf-8", "replace")).digest(): t for t in texts if _acceptable(t, settings)}
    held_out = {k for k in unique if int.from_bytes(k[:4], "big") % 1000 < settings.evaluation_per_mille}
    ordered = sorted(unique, key=lambda key: (key in held_out, key))
    seen: set[int] = set()
    train: list[str] = []
    evaluation: list[str] = []
    for key in ordered:
        shingles = _shingles(unique[key], settings.shingle_words)
        repeated = sum(s in seen for s in shingles)
        if repeated >= settings.near_duplicate * len(shingles):
            continue
        seen.update(shingles)
        (evaluation if key in held_out else train).append(unique[key])
    return Corpus(train, evaluation)


def _acceptable(text: str, settings: CorpusSettings) -> bool:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # lone surrogates, from tests of codecs
        return False
    if not settings.minimum_bytes <= size <= settings.maximum_bytes:
        return False
    return _share_of_letters(text) >= settings.minimum_letters


def _shingles(text: str, words: int) -> list[int]:
    """The hashes of all sequences of `words` words; a shorter text is one shingle."""
    hashes = np.array([zlib.crc32(w.lower().encode()) for w in _WORD.findall(text)], np.uint64)
    if len(hashes) <= words:
        return [int(zlib.crc32(hashes.tobytes()))]
    rolling = np.zeros(len(hashes) - words + 1, np.uint64)
    for i in range(words):  # a polynomial hash modulo 2**64; its multiplier is odd
        rolling = rolling * np.uint64(0x9E3779B97F4A7C15) + hashes[i : i + len(rolling)]
    return [int(value) for value in np.unique(rolling)]
