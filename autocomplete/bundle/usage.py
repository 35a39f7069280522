"""usage/: short clients in each of four languages, written for the bundle that they lie in."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from autocomplete.bundle.contract import Manifest
from autocomplete.bundle.manifest import PORTABLE
from autocomplete.common.files import read_json, write_bytes
from autocomplete.graph import bpe_tables
from autocomplete.tokenizer import pre_tokenizers, tokenizer_rules

_CLIENTS = Path(__file__).with_name("clients")
LITERTJS = "2.5.3"  # its wasm is not the bundle's LiteRT, and is loaded in Node in a way that a version may change
_ALWAYS = ("complete.py", "README.md")
_OWN_TOKENIZER = ("complete.mjs", "complete.cc")  # 40 and 120 lines of their own
_LITERT = ("litert.mjs", "litert.h")
_PORTABLE = ("portable.py", "portable.mjs", "portable.cc", "Portable.kt")
_TEXT = {
    "kotlin": "AutocompleteText.kt",
    "android": "android_text.md",
    "kotlin_model": "`autocomplete.tflite`",
    "kotlin_tokenizer": "in the model",
}
_TOKENS = {
    "kotlin": "AutocompleteTokens.kt",
    "android": "android_tokens.md",
    "kotlin_model": "`tokens.tflite`",
    "kotlin_tokenizer": "its own, 50 lines",
}
_ANDROID_PORTABLE = {"kotlin": None, "android": "android_portable.md", "kotlin_model": "", "kotlin_tokenizer": ""}


def knows(tokenizer: Mapping[str, Any]) -> bool:
    """Whether the clients with a tokenizer of their own do what a completed tokenizer.json does."""
    rules = tokenizer_rules.read_rules(tokenizer, "tokenizer.json")
    plain = not rules.nfc and not rules.added_tokens and tokenizer["model"]["unk_token"] is None
    return (
        plain
        and rules.pattern in (pre_tokenizers.GPT2, pre_tokenizers.DIGITS)
        and not tokenizer["model"]["ignore_merges"]
    )


def write(manifest: Manifest, folder: Path) -> None:
    """Writes `usage/` into a bundle: clients of tokens or text, of portable.tflite where it is there, and README.md.

    Args:
      manifest: the bundle's manifest; its `files` are not read.
      folder: the bundle's folder, which holds `tokenizer/tokenizer.json` already.
    """
    tokenizer = read_json(folder / "tokenizer/tokenizer.json")
    own, portable = knows(tokenizer), manifest.models.get(PORTABLE)
    text = "autocomplete.tflite" in manifest.models
    android = _TEXT if text else _TOKENS if own else _ANDROID_PORTABLE
    values = _values(manifest, tokenizer) | android | {"portable": "", "rows": "", "languages": ""}
    values |= dict.fromkeys(("javascript_client", "cpp_client"), "complete" if own else "portable")
    values["javascript_client"] += ".mjs"
    values["android"] = _filled(str(android["android"]), values).strip()
    files = {n: n for n in (*_ALWAYS, *(_OWN_TOKENIZER if own else ()), *(_LITERT if own or portable else ()))}
    rows = [*(["own_rows"] if own else []), *(["kotlin_row"] if android["kotlin"] else [])]
    if android["kotlin"]:
        files["Autocomplete.kt"] = str(android["kotlin"])
    if portable:
        files |= {n: n for n in _PORTABLE}
        values["portable_text_bytes"] = portable.signatures["generate"].outputs["text"].shape[1]
        values["portable"] = _part("portable", values)
        rows.append("portable_rows")
    languages = ["javascript", "cpp", *(["kotlin"] if portable or android["kotlin"] else [])] if own or portable else []
    values["rows"] = "".join(_part(n, values) for n in rows)
    values["languages"] = "\n".join(_part(n, values) for n in languages)
    for name, template in files.items():
        write_bytes(folder / "usage" / name, _filled(template, values).encode())


def _part(name: str, values: Mapping[str, Any]) -> str:
    return _filled(f"{name}.md", values).strip() + "\n"


def _filled(template: str, values: Mapping[str, Any]) -> str:
    return Template((_CLIENTS / template).read_text()).substitute(values)


def _values(manifest: Manifest, tokenizer: Mapping[str, Any]) -> dict[str, Any]:
    """What stands for the names in the templates; lists as Python and JavaScript write them, `_items` without []."""
    model, versions = manifest.model, manifest.versions
    window = manifest.context_window.model_dump()
    start = [] if model.start is None else [model.start]
    digits = tokenizer_rules.read_rules(tokenizer, "tokenizer.json").pattern == pre_tokenizers.DIGITS
    classes = bpe_tables.character_classes(pre_tokenizers.DIGITS if digits else pre_tokenizers.GPT2)
    no_text = model.special_token_ids
    return {
        **manifest.lengths.model_dump(),
        **{f"{unit}_{bound}": number for unit, bounds in window.items() for bound, number in bounds.items()},
        "name": manifest.name,
        "mode": manifest.mode,
        "complete_word": manifest.complete_word,
        "complete_word_js": str(manifest.complete_word).lower(),
        "start": start,
        "start_items": _items(start),
        "end": model.end_token_id,
        "no_text": no_text,
        "no_text_items": _items(no_text),
        "digits_apart": str(digits).lower(),
        "litert": versions["ai-edge-litert"],
        "tokenizers": versions["tokenizers"],
        "litertjs": LITERTJS,
        "letters": _ranges(classes, bpe_tables.LETTER),
        "numbers": _ranges(classes, bpe_tables.NUMBER),
    }


def _items(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _ranges(classes: bpe_tables.CharacterClasses, kind: int) -> str:
    """The code points of a class, for C++, whose library has no Unicode: `{0x41, 0x5a}, …`."""
    points = np.flatnonzero(classes.pages[classes.page_of].reshape(-1) == kind)
    runs = np.split(points, np.flatnonzero(np.diff(points) > 1) + 1)
    return ", ".join(f"{{{run[0]:#x}, {run[-1]:#x}}}" for run in runs)
