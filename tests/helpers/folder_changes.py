"""Changes of a Hugging Face folder, as functions that receive the folder."""

import itertools
import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from helpers.odd_folders import CONFIG, INDEX, SETTINGS, TOKENIZER, WEIGHTS, Arrays

Change = Callable[[Path], object]


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def put(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def keys(name: str, **changes: Any) -> Change:
    """Sets keys of a JSON file."""
    return lambda folder: put(folder / name, read(folder / name) | changes)


def config(**changes: Any) -> Change:
    return keys(CONFIG, **changes)


def whole(base: Mapping[str, Any], **changes: Any) -> Change:
    """Replaces config.json."""
    return lambda folder: put(folder / CONFIG, dict(base) | changes)


def settings(**changes: Any) -> Change:
    return keys(SETTINGS, **changes)


def lacking(name: str, *removed: str) -> Change:
    """Removes keys from a JSON file."""
    return lambda folder: put(folder / name, {k: v for k, v in read(folder / name).items() if k not in removed})


def parts(**changes: Any) -> Change:
    return keys(TOKENIZER, **changes)


def bpe(**changes: Any) -> Change:
    """Sets keys of the model in tokenizer.json."""
    return lambda folder: parts(model=read(folder / TOKENIZER)["model"] | changes)(folder)


def tokens(**ids: Any) -> Change:
    """Adds tokens to the vocabulary of tokenizer.json."""
    return lambda folder: bpe(vocab=read(folder / TOKENIZER)["model"]["vocab"] | ids)(folder)


def added(*more: Any) -> Change:
    """Adds added tokens to tokenizer.json."""
    return lambda folder: parts(added_tokens=[*read(folder / TOKENIZER)["added_tokens"], *more])(folder)


def template(*single: Any, **special_tokens: Any) -> Change:
    return parts(
        post_processor={"type": "TemplateProcessing", "single": list(single), "special_tokens": special_tokens}
    )


def written(name: str, content: str | bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def older_files(folder: Path) -> None:
    """Replaces tokenizer.json by vocab.json and merges.txt."""
    model = read(folder / TOKENIZER)["model"]
    put(folder / "vocab.json", model["vocab"])
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{' '.join(pair)}\n" for pair in model["merges"]))
    (folder / TOKENIZER).unlink()


def without(*names: str) -> Change:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def encoded(name: str, encoding: str) -> Change:
    return lambda folder: (folder / name).write_bytes((folder / name).read_text().encode(encoding))


def cut(name: str, size: int) -> Change:
    """Cuts a file to `size` bytes; a negative size is the number of bytes cut off its end."""
    return lambda folder: os.truncate(folder / name, size if size > 0 else (folder / name).stat().st_size + size)


def arrays(change: Callable[[Arrays], Arrays], name: str = WEIGHTS) -> Change:
    """Changes the weights in a file."""
    return lambda folder: save_file(change(load_file(folder / name)), folder / name, {"format": "pt"})


def weight(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return arrays(lambda weights: weights | {name: np.ascontiguousarray(change(weights[name]))})


def more(name: str, array: np.ndarray, file: str = WEIGHTS) -> Change:
    return arrays(lambda weights: weights | {name: array}, file)


def fewer(name: str) -> Change:
    return arrays(lambda weights: {n: array for n, array in weights.items() if n != name})


def cast(kind: Any) -> Change:
    """Casts all weights to another type."""
    return arrays(lambda weights: {name: array.astype(kind) for name, array in weights.items()})


def sharded(**placed: Any) -> Change:
    """Splits the weights into two files with an index; `placed` gives some weights another file."""

    def change(folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        names = dict(zip(weights, itertools.cycle(["model-1.safetensors", "model-2.safetensors"]), strict=False))
        for file in sorted(set(names.values())):
            save_file({n: weights[n] for n in weights if names[n] == file}, folder / file, {"format": "pt"})
        (folder / WEIGHTS).unlink()
        put(folder / INDEX, {"metadata": {}, "weight_map": names | placed})

    return change


def header(content: Any, data: bytes = b"") -> Change:
    """Writes a safetensors file from its header."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return written(WEIGHTS, struct.pack("<Q", len(text)) + text + data)


def both(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]
