"""OPT: GPT-2's layers with another activation.

Its table of positions begins two rows late in other libraries; KerasHub has cut these off.
"""

from pathlib import Path

from autocomplete.model import checkpoint, folding
from autocomplete.model.checkpoint import Place
from autocomplete.model.decoder import Shape, Weights
from autocomplete.model.families import gpt2

_OUTER = {
    "embedding": Place("embeddings/token_embedding"),
    "positions": Place("embeddings/position_embedding"),
    "norm": Place("layer_norm"),
}


def read_shape(preset: Path) -> Shape:
    """The dimensions of an OPT."""
    return gpt2.shape_of(preset, "relu")


def weights(preset: Path, positions: int) -> Weights:
    """The weights of an OPT, with the first `positions` rows of its position table."""
    source = checkpoint.source(preset, _OUTER, gpt2.LAYER)
    return folding.weights(read_shape(preset), folding.Extras(positions), source)
