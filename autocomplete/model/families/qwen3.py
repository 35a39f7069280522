"""Qwen 3: Llama's layers with a norm of each head's query and key."""

from pathlib import Path

from autocomplete.model import folding, rotary
from autocomplete.model.decoder import Shape, Weights
from autocomplete.model.families import llama
from autocomplete.model.folding import Extras

# Of the norms of the heads in KerasHub 0.31, to which the backbone's epsilon is not handed on.
QWEN3_HEAD_EPSILON = 1e-5


def read_shape(preset: Path) -> Shape:
    """The dimensions of a Qwen 3."""
    config = llama.config_of(preset)
    turns = rotary.turns(config["rope_max_wavelength"], llama.head_dim(config), config["rope_scaling_factor"])
    return llama.shape_of(config, turns, config["sliding_window_size"] or None, QWEN3_HEAD_EPSILON)


def weights(preset: Path, positions: int) -> Weights:
    """The weights of a Qwen 3."""
    tied = llama.config_of(preset)["tie_word_embeddings"]
    return folding.weights(read_shape(preset), Extras(head_norm=True, head=not tied), llama.source(preset))
