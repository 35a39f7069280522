"""usage/: short clients in each of four languages, written for the bundle that they lie in."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from stages.bundle.manifest import PORTABLE
from stages.files import write_bytes
from stages.lm import bpe_tables, tokenizer

_CLIENTS = Path(__file__).with_name("clients")
LITERTJS = "2.5.3"  # its wasm is not the bundle's LiteRT, and is loaded in Node in a way that a version may change
WORDS = tokenizer.GPT2  # the pattern that the clients know
_SAME = ("complete.py", "complete.mjs", "complete.cc", "litert.mjs", "litert.h", "README.md")
_PORTABLE = ("portable.py", "portable.mjs", "portable.cc", "Portable.kt")
_TEXT = {
    "kotlin": "AutocompleteText.kt", "android": "android_text.md",
    "kotlin_model": "`autocomplete.tflite`", "kotlin_tokenizer": "in the model",
}  # fmt: skip
_TOKENS = {
    "kotlin": "AutocompleteTokens.kt", "android": "android_tokens.md",
    "kotlin_model": "`tokens.tflite`", "kotlin_tokenizer": "its own, 50 lines",
}  # fmt: skip


def write(manifest: Mapping[str, Any], folder: Path) -> None:
    """Writes `usage/` into a bundle: clients of tokens or text, of portable.tflite where it is there, and README.md.

    Args:
      manifest: the bundle's manifest; its `files` are not read.
      folder: the bundle's folder, which holds `tokenizer/vocabulary.json` already.
    """
    android = _TEXT if "autocomplete.tflite" in manifest["models"] else _TOKENS
    portable = manifest["models"].get(PORTABLE)
    values = _values(manifest, folder / "tokenizer") | android | {"portable": "", "portable_rows": ""}
    values["android"] = _filled(android["android"], values).strip()
    files = {n: n for n in _SAME} | {"Autocomplete.kt": android["kotlin"]}
    if portable:
        files |= {n: n for n in _PORTABLE}
        values["portable_text_bytes"] = portable["signatures"]["generate"]["outputs"]["text"]["shape"][1]
        values |= {n: _filled(f"{n}.md", values).strip() + "\n" for n in ("portable", "portable_rows")}
    for name, template in files.items():
        write_bytes(folder / "usage" / name, _filled(template, values).encode())


def _filled(template: str, values: Mapping[str, Any]) -> str:
    return Template((_CLIENTS / template).read_text()).substitute(values)


def _values(manifest: Mapping[str, Any], vocabulary: Path) -> dict[str, Any]:
    """What stands for the names in the templates; lists as Python and JavaScript write them, `_items` without []."""
    model, versions, window = manifest["model"], manifest["versions"], manifest["context_window"]
    ids = json.loads((vocabulary / "vocabulary.json").read_text())
    start = [model["start_token_id"]] if model["add_start_token"] else []
    no_text = [ids[token] for token in sorted(tokenizer.special(ids), key=lambda token: -ids[token])]
    classes = bpe_tables.character_classes()
    return {
        **manifest["lengths"],
        **{f"{unit}_{bound}": number for unit, bounds in window.items() for bound, number in bounds.items()},
        "name": manifest["name"], "mode": manifest["mode"],
        "complete_word": manifest["complete_word"], "complete_word_js": str(manifest["complete_word"]).lower(),
        "start": start, "start_items": _items(start), "end": model["end_token_id"],
        "no_text": no_text, "no_text_items": _items(no_text),
        "litert": versions["ai-edge-litert"], "tokenizers": versions["tokenizers"], "litertjs": LITERTJS,
        "letters": _ranges(classes, bpe_tables.LETTER), "numbers": _ranges(classes, bpe_tables.NUMBER),
    }  # fmt: skip


def _items(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _ranges(classes: bpe_tables.CharacterClasses, kind: int) -> str:
    """The code points of a class, for C++, whose library has no Unicode: `{0x41, 0x5a}, …`."""
    points = np.flatnonzero(classes.pages[classes.page_of].reshape(-1) == kind)
    runs = np.split(points, np.flatnonzero(np.diff(points) > 1) + 1)
    return ", ".join(f"{{{run[0]:#x}, {run[-1]:#x}}}" for run in runs)
