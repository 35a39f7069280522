"""English that every installation has: the docstrings of the standard library and of the locked dependencies."""

import ast
import hashlib
import importlib.metadata
import inspect
import re
import sysconfig
import tomllib
import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_WORD = re.compile(r"\w+")


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


def source_files(lock: Path) -> Iterator[Path]:
    """The Python files of the standard library, then of each package in `uv.lock`, in a fixed order."""
    library = Path(sysconfig.get_paths()["stdlib"])
    yield from sorted(p for p in library.rglob("*.py") if "site-packages" not in p.parts)
    for package in sorted(p["name"] for p in tomllib.loads(lock.read_text())["package"]):
        try:
            files = importlib.metadata.distribution(package).files or []
        except importlib.metadata.PackageNotFoundError:
            continue  # locked, but another platform's or not a package (the project itself)
        yield from sorted(Path(str(f.locate())) for f in files if f.suffix == ".py")


def docstrings(files: Iterable[Path]) -> Iterator[str]:
    """The docstrings of modules, classes and functions, dedented, without doctests."""
    for path in files:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue  # templates and deliberately broken test files are not text
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node, clean=False)
                if text:
                    yield _prose(inspect.cleandoc(text))


def _prose(text: str) -> str:
    """The paragraphs without interactive sessions, and without blanks at line ends."""
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n\n".join(re.sub(r"[ \t]+\n", "\n", p).rstrip() for p in paragraphs if ">>>" not in p)


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
    visible = [c for c in text if not c.isspace()]
    return sum(c.isascii() and c.isalpha() for c in visible) >= settings.minimum_letters * len(visible)


def _shingles(text: str, words: int) -> list[int]:
    """Hashes of all runs of `words` words; a shorter text is one shingle."""
    hashes = np.array([zlib.crc32(w.lower().encode()) for w in _WORD.findall(text)], np.uint64)
    if len(hashes) <= words:
        return [int(zlib.crc32(hashes.tobytes()))]
    rolling = np.zeros(len(hashes) - words + 1, np.uint64)
    for i in range(words):  # a polynomial in an odd multiplier modulo 2**64
        rolling = rolling * np.uint64(0x9E3779B97F4A7C15) + hashes[i : i + len(rolling)]
    return [int(value) for value in np.unique(rolling)]
