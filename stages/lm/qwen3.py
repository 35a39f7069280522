"""Qwen 3: Llama's layers with a norm of each head's query and key."""

from pathlib import Path

from stages.lm import folding, llama, rotary
from stages.lm.decoder import Shape, Weights
from stages.lm.folding import Extras
from stages.lm.transformers_config import QWEN3_HEAD_EPSILON


def read_shape(preset: Path) -> Shape:
    """The dimensions of a Qwen 3."""
    config = llama.config_of(preset)
    turns = rotary.turns(config["rope_max_wavelength"], llama.head_dim(config), config["rope_scaling_factor"])
    return llama.shape_of(config, turns, config["sliding_window_size"] or None, QWEN3_HEAD_EPSILON)


def weights(preset: Path, positions: int) -> Weights:
    """The weights of a Qwen 3."""
    tied = llama.config_of(preset)["tie_word_embeddings"]
    return folding.weights(read_shape(preset), Extras(head_norm=True, head=not tied), llama.source(preset))
