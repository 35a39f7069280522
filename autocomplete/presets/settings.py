"""Where a preset comes from: settings that are checked before Keras or a hub's client is imported."""

import re
from dataclasses import dataclass

from autocomplete.common.errors import UserError

GPT2, LLAMA3 = "gpt2", "llama3"
FAMILIES = (GPT2, LLAMA3)
DESCRIPTION = "model.json"  # beside a preset's own files
ALTERNATIVES = (
    "author.preset takes a hub name (with a network), a local preset folder or .gguf file, "
    "or artifacts/presets/pydoc_gpt2, which ships with the project (use.author=pydoc_gpt2)"
)


@dataclass(frozen=True)
class Pin:
    """What a preset must be: a hub's revision (a commit, tag or branch; a version of Kaggle's), its files' SHA-256."""

    revision: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        """Refuses what is no hash."""
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise UserError(f"author.sha256 is {self.sha256}; allowed: null, or 64 hexadecimal digits")


@dataclass(frozen=True)
class Hub:
    """How often a hub is asked, how long it may be silent, how long to wait before the second time (then doubled)."""

    attempts: int = 4
    timeout_s: float = 20.0
    pause_s: float = 1.0
    offline: bool = False

    def __post_init__(self) -> None:
        """Refuses to ask never, or without waiting for an answer."""
        if self.attempts < 1:
            raise UserError(f"author.hub.attempts is {self.attempts}; allowed: at least 1")
        if self.timeout_s <= 0:
            raise UserError(f"author.hub.timeout_s is {self.timeout_s}; allowed: above 0")
        if self.pause_s < 0:
            raise UserError(f"author.hub.pause_s is {self.pause_s}; allowed: at least 0")


@dataclass(frozen=True)
class Dimensions:
    """A model's dimensions, the folder whose vocabulary its own begins with, and the seed of its weights.

    GPT-2's inner width is four times `hidden`, and all its heads have keys: `kv_heads` and `inner` are for llama3.
    """

    vocabulary: str
    vocabulary_size: int
    layers: int
    heads: int
    hidden: int
    context: int
    seed: int
    family: str = GPT2
    kv_heads: int | None = None
    inner: int | None = None

    def __post_init__(self) -> None:
        """Refuses dimensions that make no model."""
        if self.family not in FAMILIES:
            raise UserError(f"author.random.family is {self.family}; allowed: {', '.join(FAMILIES)}")
        own = ("kv_heads", "inner")
        for key in own:
            if (getattr(self, key) is None) != (self.family == GPT2):
                allowed = "null, as the rest says it" if self.family == GPT2 else "a number"
                raise UserError(f"author.random.{key} is {getattr(self, key)}; allowed of {self.family}: {allowed}")
        for key in ("vocabulary_size", "layers", "heads", "hidden", "context", *own):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise UserError(f"author.random.{key} is {value}; allowed: at least 1")
        if self.hidden % self.heads:
            raise UserError(f"author.random.hidden is {self.hidden}; allowed: a multiple of heads ({self.heads})")
        if self.heads % (self.kv_heads or 1):
            raise UserError(f"author.random.heads is {self.heads}; allowed: a multiple of kv_heads ({self.kv_heads})")
