"""Models in somebody else's format, in Hugging Face's words: config.json, tokenizer.json, names of weights."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from autocomplete.common.arrays import Array


class Tensors(Protocol):
    """An open file of weights, with the names of all that it holds."""

    names: frozenset[str]

    def full_name(self, name: str) -> str:
        """The name that the file has for a weight; raises KeyError where there is none."""
        ...

    def get_tensor(self, name: str) -> Array:
        """The weight of a name as transformers has it, in its layout; raises KeyError where there is none."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """A causal language model before any of its weights is read.

    `config` is config.json's content with every key that the converter needs; `tokenizer` is tokenizer.json's. `start`
    is the id that stands before every text, None where the tokenizer adds none; each of `ends` ends a text, the first
    also parts documents. `named` holds what the file says about itself: `name`, `license`.
    """

    config: Mapping[str, Any]
    tokenizer: Mapping[str, Any]
    start: int | None
    ends: tuple[int, ...]
    open: Callable[[], AbstractContextManager[Tensors]]
    named: Mapping[str, str]
    padding: int | None = None
