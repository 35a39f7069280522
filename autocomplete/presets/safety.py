"""Refuses preset folders that hold anything but plain data: objects that run code when they are loaded."""

import json
import pickletools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import sentencepiece

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject, one_line, plain
from autocomplete.model.families import FAMILIES

# The classes in presets of the known families. It is an allow-list because Keras has layers that run code from a
# configuration (Lambda) or unpickle it (TorchModuleWrapper), and because a registered name overrides module and class.
_PARTS = ("Backbone", "CausalLM", "CausalLMPreprocessor", "Tokenizer")
_HUB_CLASSES = {name.removesuffix("Backbone") + part for name in FAMILIES for part in _PARTS}
_KERAS_CLASSES = {"DTypePolicy"}
_HUBS = ("keras_hub", "keras_nlp")
_CONFIG_FILES = (None, "tokenizer.json", "preprocessor.json")
_FILE_KEYS = ("vocabulary", "merges", "proto")  # a tokenizer reads a file if its configuration names one here
_CODE_KEYS = (
    "auto_map",
    "custom_pipelines",
    "trust_remote_code",
)  # transformers runs Python code from the model's repository
_SIGNATURES = {
    b"PK\x03\x04": "is a zip archive, as PyTorch and Keras keep objects in",
    b"\x93NUMPY": "is a NumPy file, which may hold pickled objects",
    b"\x1f\x8b": "is compressed, and may hold a pickle",
    b"BZh": "is compressed, and may hold a pickle",
    b"\xfd7zXZ": "is compressed, and may hold a pickle",
}
_SAFETENSORS_HEADER = 100_000_000  # the format's limit, in bytes
_LONGEST_REASON = 300  # characters; it may quote the file
_SCANNED = 1 << 20  # bytes of a file that are searched for a pickle
_LZF, _FIRST_PLUGIN = 32000, 256  # HDF5 filters from this number on are plugins; h5py includes LZF


def require_plain_data(folder: Path) -> None:
    """Raises UserError, with the names of all files that are not plain data.

    Hidden files are not checked, because no loader reads them.
    """
    refused = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts) or (path.is_dir() and not path.is_symlink()):
            continue
        reason = _reason(path)
        if reason:
            refused.append(f"{plain(str(name))} {one_line(reason, _LONGEST_REASON)}")
    if refused:
        raise UserError(
            f"{folder}/{'; '.join(refused)}; a preset holds JSON, text, HDF5, safetensors and SentencePiece models, so "
            f"that loading it runs no code: take {'the file' if len(refused) == 1 else 'these files'} out, download "
            "what is damaged again, or take the preset from somewhere else"
        )


def _reason(path: Path) -> str | None:
    """Why a file is refused; None if it is allowed."""
    if not path.is_file():
        return "is no plain file (a link to a folder, a pipe)"
    with path.open("rb") as file:
        head = file.read(_SCANNED)
    for signature, reason in _SIGNATURES.items():
        if head.startswith(signature):
            return reason
    if _is_pickle(head):
        return "is a pickle, which runs code when it is loaded"
    check = _CHECKS.get(path.suffix.lower())
    return f"is of a kind that no preset needs ({path.suffix})" if check is None else check(path)


def _is_pickle(head: bytes) -> bool:
    """Whether a file begins with a pickle: by its header, or for the oldest protocols by all opcodes up to the end."""
    if len(head) > 1 and head[0] == 0x80 and head[1] <= 5:
        return True
    calls = False
    try:
        for opcode, _, _ in pickletools.genops(head):
            calls = calls or opcode.name in ("GLOBAL", "INST", "REDUCE")
    except Exception:  # not a pickle
        return False
    return calls


def _json_reason(path: Path) -> str | None:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return f"is no JSON ({one_line(error, 80)})"
    for reason in map(_object_reason, _mappings(content)):
        if reason:
            return reason
    return _weight_map_reason(content)


def _mappings(value: Any) -> Iterator[JsonObject]:
    """All mappings inside a JSON value."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            yield item
            pending += item.values()
        elif isinstance(item, list):
            pending += item


def _object_reason(mapping: JsonObject) -> str | None:
    """Why a mapping is refused. A vocabulary may have any word as a key, with a number as its value."""
    for key in _CODE_KEYS:
        if key in mapping and type(mapping[key]) is not int and mapping[key] is not False:
            return f"asks for code from the model's repository ({key})"
    name = mapping.get("class_name")
    if not isinstance(name, str):
        return None
    module, registered = str(mapping.get("module")), mapping.get("registered_name")
    if name in _HUB_CLASSES:
        allowed = module.split(".")[0] in _HUBS and registered in {f"{hub}>{name}" for hub in _HUBS}
    else:
        allowed = name in _KERAS_CLASSES and module.split(".")[0] == "keras" and registered in (None, name)
    if not allowed:
        return f"makes an object of the class {name} (module {module}, registered as {registered})"
    config = mapping.get("config")
    if not isinstance(config, dict) or config.get("config_file") not in _CONFIG_FILES:
        return f"has a {name} whose configuration is not KerasHub's"
    file_keys = [key for key in _FILE_KEYS if config.get(key) is not None]
    return f"has a {name} that would read another file ({file_keys[0]})" if file_keys else None


def _weight_map_reason(content: Any) -> str | None:
    """Why an index of weight files is refused."""
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict):
        return None
    for value in weight_map.values():
        for name in value if isinstance(value, list) else [value]:
            if not isinstance(name, str) or Path(name).name != name or name.startswith("."):
                return f"names weights outside of its folder ({name})"
    return None


def _hdf5_reason(path: Path) -> str | None:
    try:
        with h5py.File(path, "r") as file:
            return _group_reason(file, set())
    except (OSError, RuntimeError, KeyError) as error:
        return f"is no whole HDF5 file ({one_line(error, 100)})"


def _group_reason(group: h5py.Group, seen: set[int]) -> str | None:
    """Why an HDF5 group is refused; `seen` holds the addresses of objects that are checked already."""
    seen.add(h5py.h5o.get_info(group.id).addr)
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            return f"links to another place ({group.name}/{name})"
        value = group[name]
        if h5py.h5o.get_info(value.id).addr in seen:
            continue
        reason = _group_reason(value, seen) if isinstance(value, h5py.Group) else _dataset_reason(value)
        if reason:
            return reason
    return None


def _dataset_reason(value: Any) -> str | None:
    """Why an HDF5 object other than a group is refused."""
    if not isinstance(value, h5py.Dataset):
        return f"has a type of its own ({value.name})"
    properties = value.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if any(number >= _FIRST_PLUGIN and number != _LZF for number in filters):
        return f"needs a library to be read ({value.name})"
    if value.is_virtual or value.external:
        return f"takes its numbers from another file ({value.name})"
    bfloat16 = value.dtype.kind == "V" and value.dtype.names is None and value.attrs.get("dtype") == "bfloat16"
    text = h5py.check_string_dtype(value.dtype) is not None
    return None if value.dtype.kind in "biuf" or bfloat16 or text else f"holds objects, not numbers ({value.name})"


def _safetensors_reason(path: Path) -> str | None:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        try:
            content = json.loads(file.read(size)) if 2 <= size <= _SAFETENSORS_HEADER else None
        except (ValueError, RecursionError):
            content = None
    return None if isinstance(content, dict) else "is no safetensors file"


def _sentencepiece_reason(path: Path) -> str | None:
    try:
        sentencepiece.SentencePieceProcessor().LoadFromSerializedProto(path.read_bytes())
    except (RuntimeError, OSError, ValueError):  # a ValueError where its error message would not be UTF-8
        return "is no SentencePiece model"
    return None


def _text_reason(path: Path) -> str | None:
    try:
        path.read_bytes().decode()
    except UnicodeDecodeError:
        return "is no text"
    return None


# The check for each file extension; it returns why the file is refused, or None.
_CHECKS: dict[str, Callable[[Path], str | None]] = {
    ".json": _json_reason,
    ".h5": _hdf5_reason,
    ".safetensors": _safetensors_reason,
    ".model": _sentencepiece_reason,
    ".spm": _sentencepiece_reason,
    ".txt": _text_reason,
    ".md": _text_reason,
    ".jsonl": _text_reason,
    ".csv": _text_reason,
    ".jinja": _text_reason,
    "": _text_reason,
}
