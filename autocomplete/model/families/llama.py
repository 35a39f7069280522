"""Llama 2 and 3, as KerasHub has them; and what other families have from Llama."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autocomplete.common.files import read_json
from autocomplete.model import checkpoint, folding, rotary
from autocomplete.model.checkpoint import Place, inputs_first, outputs_last
from autocomplete.model.decoder import HEAD, Kind, Shape, Weights
from autocomplete.model.folding import Extras

_ATTENTION = "_self_attention_layer"
_OUTER = {
    "embedding": Place("token_embedding"),
    HEAD: Place("token_embedding", inputs_first, number=1),
    "norm": Place("sequence_output_layernorm"),
}
_LAYER = {
    "attention_norm": Place("_self_attention_layernorm"),
    "query": Place(f"{_ATTENTION}/_query_dense", inputs_first),
    "key": Place(f"{_ATTENTION}/_key_dense", inputs_first),
    "value": Place(f"{_ATTENTION}/_value_dense", inputs_first),
    "query_norm": Place(f"{_ATTENTION}/_query_dense_layer_norm"),
    "key_norm": Place(f"{_ATTENTION}/_key_dense_layer_norm"),
    "attention_output": Place(f"{_ATTENTION}/_output_dense", outputs_last),
    "feedforward_norm": Place("_feedforward_layernorm"),
    "feedforward_gate": Place("_feedforward_gate_dense", inputs_first),
    "feedforward_up": Place("_feedforward_intermediate_dense", inputs_first),
    "feedforward_down": Place("_feedforward_output_dense", inputs_first),
}


def read_shape(preset: Path) -> Shape:
    """The dimensions of a Llama."""
    config = config_of(preset)
    stretch = None
    if config["rope_frequency_adjustment_factor"] is not None:
        names = ("frequency_adjustment_factor", "low_freq_factor", "high_freq_factor", "pretraining_sequence_length")
        stretch = rotary.Stretch(*(config[f"rope_{name}"] for name in names))
    # KerasHub 0.31 takes a rope_position_scaling_factor and does not use it
    return shape_of(config, rotary.turns(config["rope_max_wavelength"], head_dim(config), stretch=stretch))


def weights(preset: Path, positions: int) -> Weights:
    """The weights of a Llama."""
    tied = config_of(preset).get("tie_word_embeddings", False)
    return folding.weights(read_shape(preset), Extras(head=not tied), source(preset))


def config_of(preset: Path) -> dict[str, Any]:
    """A backbone's configuration."""
    return dict(read_json(preset / "config.json")["config"])


def source(preset: Path) -> folding.Source:
    """A preset's weights where KerasHub's Llama has them."""
    return checkpoint.source(preset, _OUTER, _LAYER)


def head_dim(config: Mapping[str, Any]) -> int:
    """The width of a head."""
    return int(config.get("head_dim") or config["hidden_dim"] // config["num_query_heads"])


def shape_of(
    config: Mapping[str, Any], turns: tuple[float, ...], window: int | None = None, head_epsilon: float = 0.0
) -> Shape:
    """The dimensions of a decoder of Llama's kind: RMSNorm, rotary positions, SwiGLU."""
    return Shape(
        layers=config["num_layers"],
        hidden=config["hidden_dim"],
        heads=config["num_query_heads"],
        kv_heads=config["num_key_value_heads"],
        head_dim=head_dim(config),
        inner=config["intermediate_dim"],
        vocabulary=config["vocabulary_size"],
        epsilon=config["layer_norm_epsilon"],
        activation="silu",
        gated=True,
        head_epsilon=head_epsilon,
        kinds=(Kind(window, turns),),
    )
