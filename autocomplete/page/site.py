"""The page's files as a site: of one bundle, or of several whose models share the page."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ConfigDict

from autocomplete.bundle.contract import Range
from autocomplete.common.errors import UserError
from autocomplete.common.files import sha256
from autocomplete.common.records import Record

RUNTIME = "runtime"
WEBASSEMBLY = f"{RUNTIME}/litert_wasm_"
MODELS, FILES = "models.json", "files.js"


class PageModel(Record):
    """A model in models.json: its file, and the bounds of what a user may choose."""

    model_config = ConfigDict(extra="allow")

    mode: str
    file: str
    """relative to the page"""
    bytes: int
    sha256: str
    words: Range
    """of the text typed so far, that the model reads"""
    longest: int
    """tokens of a suggestion at most"""
    threads: bool
    """whether the model is large enough for more threads than one"""


class PageModels(Record):
    """models.json, which a person may edit: the page's title, and its models, the one to start with first."""

    title: str
    models: list[PageModel]


def generated(files: Mapping[str, Path], listed: PageModels) -> dict[str, bytes]:
    """The content of models.json, and of files.js, which tells the service worker what to keep of the page.

    Args:
      files: the page's other files, by their path in it.
      listed: the page's title and models.
    """
    models_json = (json.dumps(listed.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n").encode()
    hashes = {name: sha256(path) for name, path in files.items() if name not in (MODELS, FILES)}
    hashes[MODELS] = hashlib.sha256(models_json).hexdigest()
    version = hashlib.sha256("".join(f"{hashes[n]}  {n}\n" for n in sorted(hashes)).encode()).hexdigest()[:16]
    # a browser needs one kind of WebAssembly, and finds out at run time which
    kept = sorted(n for n in hashes if n != MODELS and not n.startswith(WEBASSEMBLY))
    content = json.dumps({"version": version, "files": kept}, indent=2)
    return {MODELS: models_json, FILES: f"self.SITE = {content};\n".encode()}


def compose(bundles: Sequence[Path]) -> dict[str, Path | bytes]:
    """The site of some bundles: a file or its content at each path; the first bundle's model comes first.

    Raises:
      UserError: if a bundle has no page, or names a file outside of itself, or two have the same mode.
    """
    files: dict[str, Path] = {}
    model_files: dict[str, Path] = {}
    models: list[PageModel] = []
    pages = [_read_models(bundle) for bundle in bundles]
    for bundle, page in zip(bundles, pages, strict=True):
        bundle_files = {p.relative_to(bundle / "web").as_posix(): p for p in _files_below(bundle / "web")}
        files = bundle_files | files  # the first bundle's page; another bundle may add the runtime for threads
        for model in page.models:
            path = f"models/{model.mode}.tflite"
            if path in model_files:
                raise UserError(f"{bundle} is a second bundle of mode {model.mode}; name one of them")
            model_files[path] = _inside(bundle, model.file)
            models.append(model.model_copy(update={"file": path}))
    return {**files, **model_files, **generated(files, PageModels(title=pages[0].title, models=models))}


def _files_below(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file()]


def _read_models(bundle: Path) -> PageModels:
    """models.json of a bundle's page."""
    path = bundle / "web" / MODELS
    if not path.is_file():
        raise UserError(f"{bundle} has no page ({path} is missing): package it anew where npm is installed")
    return PageModels.read(path)


def _inside(bundle: Path, name: str) -> Path:
    """A file that models.json names, which must be the bundle's own."""
    path = Path(os.path.normpath(bundle / "web" / name))
    if not path.is_relative_to(bundle) or not path.is_file():
        raise UserError(f"{bundle / 'web' / MODELS} names {name!r}, no file of the bundle: fetch the bundle again")
    return path
