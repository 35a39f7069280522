"""What may be done to a toy GGUF file, and how a file is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autocomplete.common.errors import UserError
from autocomplete.presets import gguf_model
from helpers.ggufs import File


def told(**changes: Any) -> Callable[[File], None]:
    """Changes keys, of the architecture where they have no prefix; None takes one out."""

    def change(made: File) -> None:
        arch = made.metadata["general.architecture"]
        for key, value in changes.items():
            key = key.replace("__", ".")
            full = key if key.startswith(("general.", "tokenizer.", "split.", "adapter.")) else f"{arch}.{key}"
            if value is None:
                del made.metadata[full]
            else:
                made.metadata[full] = value

    return change


def token(key: str, value: Any) -> Callable[[File], None]:
    return told(**{f"tokenizer.ggml.{key}": value})


def tensor(name: str, shape: tuple[int, ...] | None, kind: Any = np.float32) -> Callable[[File], None]:
    """Adds a tensor, changes its shape, or takes it out."""

    def change(made: File) -> None:
        if shape is None:
            del made.tensors[name]
        else:
            made.tensors[name] = np.full(shape, 3, kind)

    return change


def again(key: str, index: int, value: Any) -> Callable[[File], None]:
    """Changes one value of an array of the tokenizer."""
    return lambda made: made.metadata[f"tokenizer.ggml.{key}"].__setitem__(index, value)


def fewer(made: File) -> None:
    for key in ("tokens", "token_type"):
        made.metadata[f"tokenizer.ggml.{key}"].pop()


def refused(path: Path, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        gguf_model.read(path)
    assert str(error.value).isprintable()
    assert str(path) in str(error.value)
