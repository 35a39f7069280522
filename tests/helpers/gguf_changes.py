"""Changes of a toy GGUF file, and an assertion that a file is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autocomplete.common.errors import UserError
from autocomplete.presets import gguf_model
from helpers.ggufs import File


def keys(**changes: Any) -> Callable[[File], None]:
    """Sets keys, of the architecture where they have no prefix; None removes a key."""

    def change(file: File) -> None:
        arch = file.metadata["general.architecture"]
        for key, value in changes.items():
            key = key.replace("__", ".")
            full = key if key.startswith(("general.", "tokenizer.", "split.", "adapter.")) else f"{arch}.{key}"
            if value is None:
                del file.metadata[full]
            else:
                file.metadata[full] = value

    return change


def token(key: str, value: Any) -> Callable[[File], None]:
    return keys(**{f"tokenizer.ggml.{key}": value})


def tensor(name: str, shape: tuple[int, ...] | None, kind: Any = np.float32) -> Callable[[File], None]:
    """Adds a tensor, changes its shape, or removes it."""

    def change(file: File) -> None:
        if shape is None:
            del file.tensors[name]
        else:
            file.tensors[name] = np.full(shape, 3, kind)

    return change


def again(key: str, index: int, value: Any) -> Callable[[File], None]:
    """Replaces one value of an array of the tokenizer."""
    return lambda file: file.metadata[f"tokenizer.ggml.{key}"].__setitem__(index, value)


def fewer(file: File) -> None:
    for key in ("tokens", "token_type"):
        file.metadata[f"tokenizer.ggml.{key}"].pop()


def refused(path: Path, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        gguf_model.read(path)
    assert str(error.value).isprintable()
    assert str(path) in str(error.value)
