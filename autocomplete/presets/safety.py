"""What the folder of a preset may hold: data to be read, and no object that runs code when it is loaded."""

import json
import pickletools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import sentencepiece

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import plain
from autocomplete.model.families import FAMILIES

# All that presets of the known families are made of. A list of what is allowed: Keras itself has layers that run what a
# configuration says (Lambda) or unpickle it (TorchModuleWrapper), and a registered name wins over module and class.
_PARTS = ("Backbone", "CausalLM", "CausalLMPreprocessor", "Tokenizer")
_HUB_CLASSES = {name.removesuffix("Backbone") + part for name in FAMILIES for part in _PARTS}
_KERAS_CLASSES = {"DTypePolicy"}
_HUBS = ("keras_hub", "keras_nlp")
_CONFIG_FILES = (None, "tokenizer.json", "preprocessor.json")
_READS_FILES = ("vocabulary", "merges", "proto")  # what a tokenizer reads where its configuration names a path
_RUNS_CODE = ("auto_map", "custom_pipelines", "trust_remote_code")  # transformers: Python from the model's repository
_SIGNS = {
    b"PK\x03\x04": "is a zip archive, as PyTorch and Keras keep objects in",
    b"\x93NUMPY": "is a NumPy file, which may hold pickled objects",
    b"\x1f\x8b": "is compressed, and may hold a pickle",
    b"BZh": "is compressed, and may hold a pickle",
    b"\xfd7zXZ": "is compressed, and may hold a pickle",
}
_SAFETENSORS_HEADER = 100_000_000  # bytes at most, as the format says
_SCANNED = 1 << 20  # bytes of a file that are looked through for a pickle
_LZF, _FIRST_PLUGIN = 32000, 256  # HDF5 filters from this number on are libraries; h5py brings LZF itself


def check(folder: Path) -> None:
    """Raises UserError naming all files that are not plain data; nothing reads what begins with a dot."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts) or (path.is_dir() and not path.is_symlink()):
            continue
        reason = _reason(path)
        if reason:
            found.append(f"{plain(str(name))} {reason}")
    if found:
        raise UserError(
            f"{folder}/{'; '.join(found)}; a preset holds JSON, text, HDF5, safetensors and SentencePiece models, so "
            f"that loading it runs no code: take {'the file' if len(found) == 1 else 'these files'} out, download what "
            "is damaged again, or take the preset from somewhere else"
        )


def _reason(path: Path) -> str | None:
    """Why a file is refused, or None."""
    if not path.is_file():
        return "is no plain file (a link to a folder, a pipe)"
    with path.open("rb") as file:
        head = file.read(_SCANNED)
    for sign, meaning in _SIGNS.items():
        if head.startswith(sign):
            return meaning
    if _is_pickle(head):
        return "is a pickle, which runs code when it is loaded"
    if path.suffix.lower() not in _KINDS:
        return f"is of a kind that no preset needs ({path.suffix})"
    return _KINDS[path.suffix.lower()](path)


def _is_pickle(head: bytes) -> bool:
    """Whether bytes are a pickle: by its header, or, of the oldest protocol, by all its opcodes up to the end."""
    if len(head) > 1 and head[0] == 0x80 and head[1] <= 5:
        return True
    calls = False
    try:
        for opcode, _, _ in pickletools.genops(head):
            calls = calls or opcode.name in ("GLOBAL", "INST", "REDUCE")
    except Exception:  # whatever it is, no pickle
        return False
    return calls


def _json(path: Path) -> str | None:
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        return f"is no JSON ({' '.join(str(error).split())[:80]})"
    for reason in map(_object_reason, _mappings(content)):
        if reason:
            return reason
    return _weight_map_reason(content)


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    """All mappings inside a JSON value."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


def _object_reason(found: dict[str, Any]) -> str | None:
    """Why a mapping is refused; a vocabulary may have any word as its key, the value of which is a number."""
    for key in _RUNS_CODE:
        if key in found and type(found[key]) is not int and found[key] is not False:
            return f"asks for code from the model's repository ({key})"
    name = found.get("class_name")
    if not isinstance(name, str):
        return None
    module, registered = str(found.get("module")), found.get("registered_name")
    if name in _HUB_CLASSES:
        fits = module.split(".")[0] in _HUBS and registered in {f"{hub}>{name}" for hub in _HUBS}
    else:
        fits = name in _KERAS_CLASSES and module.split(".")[0] == "keras" and registered in (None, name)
    if not fits:
        return f"makes an object of the class {name} (module {module}, registered as {registered})"
    config = found.get("config")
    if not isinstance(config, dict) or config.get("config_file") not in _CONFIG_FILES:
        return f"has a {name} whose configuration is not KerasHub's"
    given = [key for key in _READS_FILES if config.get(key) is not None]
    return f"has a {name} that would read another file ({given[0]})" if given else None


def _weight_map_reason(content: Any) -> str | None:
    """Why a list of shards is refused."""
    shards = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(shards, dict):
        return None
    for value in shards.values():
        for name in value if isinstance(value, list) else [value]:
            if not isinstance(name, str) or Path(name).name != name or name.startswith("."):
                return f"names weights outside of its folder ({name})"
    return None


def _hdf5(path: Path) -> str | None:
    try:
        with h5py.File(path, "r") as file:
            return _group_reason(file, set())
    except (OSError, RuntimeError, KeyError) as error:
        return f"is no whole HDF5 file ({' '.join(str(error).split())[:100]})"


def _group_reason(group: h5py.Group, seen: set[int]) -> str | None:
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
    """Why something in an HDF5 file that is no group is refused."""
    if not isinstance(value, h5py.Dataset):
        return f"has a type of its own ({value.name})"
    created = value.id.get_create_plist()
    filters = [created.get_filter(i)[0] for i in range(created.get_nfilters())]
    if any(number >= _FIRST_PLUGIN and number != _LZF for number in filters):
        return f"needs a library to be read ({value.name})"
    if value.is_virtual or value.external:
        return f"takes its numbers from another file ({value.name})"
    half = value.dtype.kind == "V" and value.dtype.names is None and value.attrs.get("dtype") == "bfloat16"
    text = h5py.check_string_dtype(value.dtype) is not None
    return None if value.dtype.kind in "biuf" or half or text else f"holds objects, not numbers ({value.name})"


def _safetensors(path: Path) -> str | None:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        try:
            content = json.loads(file.read(size)) if 2 <= size <= _SAFETENSORS_HEADER else None
        except (ValueError, RecursionError):
            content = None
    return None if isinstance(content, dict) else "is no safetensors file"


def _sentencepiece(path: Path) -> str | None:
    try:
        sentencepiece.SentencePieceProcessor(model_proto=path.read_bytes())
    except (RuntimeError, OSError):
        return "is no SentencePiece model"
    return None


def _text(path: Path) -> str | None:
    try:
        path.read_bytes().decode()
    except UnicodeDecodeError:
        return "is no text"
    return None


_KINDS: dict[str, Callable[[Path], str | None]] = {
    ".json": _json,
    ".h5": _hdf5,
    ".safetensors": _safetensors,
    ".model": _sentencepiece,
    ".spm": _sentencepiece,
    ".txt": _text,
    ".md": _text,
    ".jsonl": _text,
    ".csv": _text,
    ".jinja": _text,
    "": _text,
}
