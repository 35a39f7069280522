"""usage/: short clients in four languages, with the names, lengths and ids of the bundle that they lie in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np

from autocomplete.bundle.contract import Manifest
from autocomplete.bundle.manifest import PORTABLE
from autocomplete.common.files import read_json, write_bytes
from autocomplete.common.json_files import JsonObject
from autocomplete.graph import bpe_tables
from autocomplete.tokenizer import pre_tokenizers, tokenizer_rules

_CLIENTS = Path(__file__).with_name("clients")
LITERTJS = "2.5.3"  # another LiteRT than the bundle's; another version may have to be loaded in another way in Node
_ALWAYS = ("complete.py", "README.md")
_OWN_TOKENIZER = ("complete.mjs", "complete.cc")  # with 40 and 120 lines of a tokenizer of their own
_LITERT = ("litert.mjs", "litert.h")
_PORTABLE = ("portable.py", "portable.mjs", "portable.cc", "Portable.kt")

TemplateValues = dict[str, str | int | bool | list[int] | None]


@dataclass(frozen=True)
class _Android:
    """What usage/ says of Android.

    Attributes:
      page: the template of the README's part.
      kotlin: the template of Autocomplete.kt; None: there is no such file.
      kotlin_model: the model that it runs, for the README's table.
      kotlin_tokenizer: where its tokenizer is, for the README's table.
    """

    page: str
    kotlin: str | None = None
    kotlin_model: str = ""
    kotlin_tokenizer: str = ""


_ANDROID_TEXT = _Android("android_text.md", "AutocompleteText.kt", "`autocomplete.tflite`", "in the model")
_ANDROID_TOKENS = _Android("android_tokens.md", "AutocompleteTokens.kt", "`tokens.tflite`", "its own, 50 lines")
_ANDROID_PORTABLE = _Android("android_portable.md")


def has_client_tokenizer(tokenizer: JsonObject) -> bool:
    """Whether the clients with a tokenizer of their own encode as a completed tokenizer.json does."""
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
    own_tokenizer, portable = has_client_tokenizer(tokenizer), manifest.models.get(PORTABLE)
    android = _android(manifest, own_tokenizer)
    client = "complete" if own_tokenizer else "portable"
    values = _manifest_values(manifest, tokenizer) | {"portable": "", "rows": "", "languages": ""}
    values |= {"javascript_client": f"{client}.mjs", "cpp_client": client}
    values |= {"kotlin_model": android.kotlin_model, "kotlin_tokenizer": android.kotlin_tokenizer}
    values["android"] = _filled(android.page, values).strip()
    files = {name: name for name in (*_ALWAYS, *(_OWN_TOKENIZER if own_tokenizer else ()))}  # file → its template
    files |= {name: name for name in (_LITERT if own_tokenizer or portable else ())}
    rows = [*(["own_rows"] if own_tokenizer else []), *(["kotlin_row"] if android.kotlin else [])]
    if android.kotlin:
        files["Autocomplete.kt"] = android.kotlin
    if portable:
        files |= {name: name for name in _PORTABLE}
        values["portable_text_bytes"] = portable.signatures["generate"].outputs["text"].shape[1]
        values["portable"] = _part("portable", values)
        rows.append("portable_rows")
    languages = ["javascript", "cpp"] if own_tokenizer or portable else []
    languages += ["kotlin"] if languages and (portable or android.kotlin) else []
    values["rows"] = "".join(_part(name, values) for name in rows)
    values["languages"] = "\n".join(_part(name, values) for name in languages)
    for name, template in files.items():
        write_bytes(folder / "usage" / name, _filled(template, values).encode())


def _android(manifest: Manifest, own_tokenizer: bool) -> _Android:
    if "autocomplete.tflite" in manifest.models:
        return _ANDROID_TEXT
    return _ANDROID_TOKENS if own_tokenizer else _ANDROID_PORTABLE


def _part(name: str, values: Mapping[str, object]) -> str:
    return _filled(f"{name}.md", values).strip() + "\n"


def _filled(template: str, values: Mapping[str, object]) -> str:
    return Template((_CLIENTS / template).read_text()).substitute(values)


def _manifest_values(manifest: Manifest, tokenizer: JsonObject) -> TemplateValues:
    """The values of the templates; lists as Python and JavaScript write them, and under `<name>_items` without []."""
    model, versions, lengths = manifest.model, manifest.versions, manifest.lengths
    window: dict[str, dict[str, int]] = manifest.context_window.model_dump()
    start = [] if model.start is None else [model.start]
    splits_digits = tokenizer_rules.read_rules(tokenizer, "tokenizer.json").pattern == pre_tokenizers.DIGITS
    classes = bpe_tables.character_classes(pre_tokenizers.DIGITS if splits_digits else pre_tokenizers.GPT2)
    return {
        **lengths.model_dump(),
        **{f"{unit}_{bound}": number for unit, bounds in window.items() for bound, number in bounds.items()},
        "name": manifest.name,
        "mode": manifest.mode,
        "complete_word": manifest.complete_word,
        "complete_word_js": str(manifest.complete_word).lower(),
        "start": start,
        "start_items": _items(start),
        "end": model.end_token_id,
        "no_text": model.special_token_ids,
        "no_text_items": _items(model.special_token_ids),
        "digits_apart": str(splits_digits).lower(),
        "litert": versions["ai-edge-litert"],
        "tokenizers": versions["tokenizers"],
        "litertjs": LITERTJS,
        "letters": _code_points(classes, bpe_tables.LETTER),
        "numbers": _code_points(classes, bpe_tables.NUMBER),
    }


def _items(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _code_points(classes: bpe_tables.CharacterClasses, kind: int) -> str:
    """The code points of a class, for C++, whose library has no Unicode: `{0x41, 0x5a}, …`."""
    points = np.flatnonzero(classes.pages[classes.page_of].reshape(-1) == kind)
    runs = np.split(points, np.flatnonzero(np.diff(points) > 1) + 1)
    return ", ".join(f"{{{run[0]:#x}, {run[-1]:#x}}}" for run in runs)
