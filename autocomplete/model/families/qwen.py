"""Qwen 2 and 2.5: Llama's layers with biases of query, key and value."""

from pathlib import Path

from autocomplete.model import folding, rotary
from autocomplete.model.decoder import Shape, Weights
from autocomplete.model.families import llama
from autocomplete.model.folding import Extras


def read_shape(preset: Path) -> Shape:
    """The dimensions of a Qwen."""
    config = llama.config_of(preset)
    turns = rotary.turns(config["rope_max_wavelength"], llama.head_dim(config), config["rope_scaling_factor"])
    window = config["sliding_window_size"] if config["use_sliding_window_attention"] else None
    return llama.shape_of(config, turns, window)


def weights(preset: Path, positions: int) -> Weights:
    """The weights of a Qwen."""
    tied = llama.config_of(preset)["tie_word_embeddings"]
    return folding.weights(read_shape(preset), Extras(qkv_bias=True, head=not tied), llama.source(preset))
