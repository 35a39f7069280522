"""The page's files as a site: of one bundle, or of several whose models share the page."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json, sha256

RUNTIME = "runtime"
KINDS = f"{RUNTIME}/litert_wasm_"
MODELS, FILES = "models.json", "files.js"


def generated(files: Mapping[str, Path], title: str, models: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """models.json, which a person may edit, and files.js, by which the service worker keeps the page.

    Args:
      files: the page's other files, by their path in it.
      title: of the page.
      models: as `page.described` has them, the one to start with first.
    """
    listed = (json.dumps({"title": title, "models": list(models)}, indent=2, ensure_ascii=False) + "\n").encode()
    hashes = {name: sha256(path) for name, path in files.items() if name not in (MODELS, FILES)}
    hashes[MODELS] = hashlib.sha256(listed).hexdigest()
    version = hashlib.sha256("".join(f"{hashes[n]}  {n}\n" for n in sorted(hashes)).encode()).hexdigest()[:16]
    # of the kinds of WebAssembly a browser needs one, and knows which when it has looked
    kept = sorted(n for n in hashes if n != MODELS and not n.startswith(KINDS))
    content = json.dumps({"version": version, "files": kept}, indent=2)
    return {MODELS: listed, FILES: f"self.SITE = {content};\n".encode()}


def compose(bundles: Sequence[Path]) -> dict[str, Path | bytes]:
    """The site of some bundles: what lies at each path, a file or its content; the first bundle's model comes first.

    Raises:
      UserError: where a bundle has no page, or names a file outside of itself, or two are of the same mode.
    """
    files: dict[str, Path] = {}
    models: dict[str, Path] = {}
    described: list[dict[str, Any]] = []
    for bundle in bundles:
        listed = _page(bundle)
        found = {p.relative_to(bundle / "web").as_posix(): p for p in (bundle / "web").rglob("*") if p.is_file()}
        files = found | files  # the first bundle's page; another's model may bring threads
        for model in listed["models"]:
            place = f"models/{model['mode']}.tflite"
            if place in models:
                raise UserError(f"{bundle} is a second bundle of mode {model['mode']}; name one of them")
            models[place] = _inside(bundle, model["file"])
            described.append(model | {"file": place})
    return {**files, **models, **generated(files, _page(bundles[0])["title"], described)}


def _page(bundle: Path) -> dict[str, Any]:
    path = bundle / "web" / MODELS
    if not path.is_file():
        raise UserError(f"{bundle} has no page ({path} is missing): package it anew where npm is installed")
    return read_json(path)


def _inside(bundle: Path, name: str) -> Path:
    """A file that models.json names, which must be the bundle's own."""
    path = Path(os.path.normpath(bundle / "web" / name))
    if not path.is_relative_to(bundle) or not path.is_file():
        raise UserError(f"{bundle / 'web' / MODELS} names {name!r}, no file of the bundle: fetch the bundle again")
    return path
