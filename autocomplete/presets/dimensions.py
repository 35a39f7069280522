"""The dimensions of a model that is made up; apart, so that settings are checked before Keras is imported."""

from dataclasses import dataclass

from autocomplete.common.errors import UserError

GPT2, LLAMA3 = "gpt2", "llama3"
FAMILIES = (GPT2, LLAMA3)


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
