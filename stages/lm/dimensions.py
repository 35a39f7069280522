"""The dimensions of a model that is made up; apart, so that settings are checked before Keras is imported."""

from dataclasses import dataclass

from stages.errors import UserError


@dataclass(frozen=True)
class Dimensions:
    """A GPT-2's dimensions, the folder whose vocabulary its own begins with, and the seed of its weights."""

    vocabulary: str
    vocabulary_size: int
    layers: int
    heads: int
    hidden: int
    context: int
    seed: int

    def __post_init__(self) -> None:
        """Refuses dimensions that make no model."""
        for key in ("vocabulary_size", "layers", "heads", "hidden", "context"):
            if getattr(self, key) < 1:
                raise UserError(f"author.random.{key} is {getattr(self, key)}; allowed: at least 1")
        if self.hidden % self.heads:
            raise UserError(f"author.random.hidden is {self.hidden}; allowed: a multiple of heads ({self.heads})")
