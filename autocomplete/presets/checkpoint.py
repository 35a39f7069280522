"""A causal language model in another format than KerasHub's, described in the terms of Hugging Face's transformers."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from autocomplete.common.arrays import Array


class Tensors(Protocol):
    """An open file of weights; `names` are the names of all of them."""

    names: frozenset[str]

    def full_name(self, name: str) -> str:
        """The name of a weight in the file, given with or without its prefix; raises KeyError if there is none."""
        ...

    def get_tensor(self, name: str) -> Array:
        """A weight by transformers' name and in its layout; raises KeyError if there is none."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """A causal language model of which no weight is read yet.

    Attributes:
      config: config.json with every key that KerasHub's converter reads.
      tokenizer: a complete tokenizer.json.
      start_token_id: the id that stands before every text; None if the tokenizer adds none.
      end_token_ids: the ids that end a text; the first also separates documents.
      open: opens the weights.
      metadata: what the file says about itself: `name`, `license`.
      pad_token_id: the id of the padding token; None if there is none.
    """

    config: Mapping[str, Any]
    tokenizer: Mapping[str, Any]
    start_token_id: int | None
    end_token_ids: tuple[int, ...]
    open: Callable[[], AbstractContextManager[Tensors]]
    metadata: Mapping[str, str]
    pad_token_id: int | None = None
