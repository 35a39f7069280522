"""Mistral: Llama's layers with a window over earlier tokens."""

from pathlib import Path

from autocomplete.model import folding, rotary
from autocomplete.model.decoder import Shape, Weights
from autocomplete.model.families import llama
from autocomplete.model.folding import Extras


def read_shape(preset: Path) -> Shape:
    """The dimensions of a Mistral."""
    config = llama.config_of(preset)
    turns = rotary.turns(config["rope_max_wavelength"], llama.head_dim(config), config["rope_scaling_factor"])
    return llama.shape_of(config, turns, config["sliding_window"])


def weights(preset: Path, positions: int) -> Weights:
    """The weights of a Mistral."""
    return folding.weights(read_shape(preset), Extras(head=True), llama.source(preset))
