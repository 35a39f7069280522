"""Settings of presets and of random models; they are checked before Keras or a hub's client is imported."""

import re
from dataclasses import dataclass

from autocomplete.common.errors import UserError

DESCRIPTION = "model.json"  # beside a preset's own files
ALTERNATIVES = (
    "author.preset takes a hub name (with a network), a local preset folder or .gguf file, "
    "or artifacts/presets/pydoc_gpt2, which ships with the project (use.author=pydoc_gpt2)"
)
GPT2, LLAMA3 = "gpt2", "llama3"
RANDOM_FAMILIES = (GPT2, LLAMA3)


@dataclass(frozen=True)
class Pin:
    """The version that a preset must have.

    Attributes:
      revision: a hub's revision: a commit, tag or branch, on Kaggle a version's number.
      sha256: the SHA-256 over the preset's files.
    """

    revision: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        """Refuses a malformed hash."""
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise UserError(f"author.sha256 is {self.sha256}; allowed: null, or 64 hexadecimal digits")


@dataclass(frozen=True)
class HubSettings:
    """How to download from a hub.

    Attributes:
      attempts: the largest number of attempts.
      timeout_s: how long the hub may stay silent.
      pause_s: the pause before the second attempt; it doubles before each further one.
      offline: whether only earlier downloads are used.
    """

    attempts: int = 4
    timeout_s: float = 20.0
    pause_s: float = 1.0
    offline: bool = False

    def __post_init__(self) -> None:
        """Refuses values with which no download could succeed."""
        if self.attempts < 1:
            raise UserError(f"author.hub.attempts is {self.attempts}; allowed: at least 1")
        if self.timeout_s <= 0:
            raise UserError(f"author.hub.timeout_s is {self.timeout_s}; allowed: above 0")
        if self.pause_s < 0:
            raise UserError(f"author.hub.pause_s is {self.pause_s}; allowed: at least 0")


@dataclass(frozen=True)
class RandomModelSettings:
    """A model with random weights (author.random).

    GPT-2's intermediate size is four times `hidden`, and each of its heads has keys of its own: `kv_heads` and `inner`
    are for llama3.

    Attributes:
      vocabulary: the folder of the vocabulary that the model's own begins with.
      vocabulary_size: number of tokens.
      layers: number of layers.
      heads: number of attention heads.
      hidden: hidden size.
      context: number of positions.
      seed: the seed of the weights.
      family: one of RANDOM_FAMILIES.
      kv_heads: number of key-value heads.
      inner: intermediate size.
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
        """Refuses dimensions that no model can have."""
        if self.family not in RANDOM_FAMILIES:
            raise UserError(f"author.random.family is {self.family}; allowed: {', '.join(RANDOM_FAMILIES)}")
        llama_keys = ("kv_heads", "inner")
        for key in llama_keys:
            if (getattr(self, key) is None) != (self.family == GPT2):
                allowed = "null, as the other settings imply it" if self.family == GPT2 else "a number"
                raise UserError(f"author.random.{key} is {getattr(self, key)}; allowed for {self.family}: {allowed}")
        for key in ("vocabulary_size", "layers", "heads", "hidden", "context", *llama_keys):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise UserError(f"author.random.{key} is {value}; allowed: at least 1")
        if self.hidden % self.heads:
            raise UserError(f"author.random.hidden is {self.hidden}; allowed: a multiple of heads ({self.heads})")
        if self.heads % (self.kv_heads or 1):
            raise UserError(f"author.random.heads is {self.heads}; allowed: a multiple of kv_heads ({self.kv_heads})")
