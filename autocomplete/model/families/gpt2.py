"""GPT-2, as KerasHub has it."""

from pathlib import Path

from autocomplete.common.files import read_json
from autocomplete.model import checkpoint, folding
from autocomplete.model.checkpoint import Place, inputs_first, outputs_last
from autocomplete.model.decoder import Shape, Weights

_OUTER = {
    "embedding": Place("token_embedding"),
    "positions": Place("position_embedding"),
    "norm": Place("layer_norm"),
}
LAYER = {
    "attention_norm": Place("_self_attention_layer_norm"),
    "query": Place("_self_attention_layer/query_dense", inputs_first),
    "key": Place("_self_attention_layer/key_dense", inputs_first),
    "value": Place("_self_attention_layer/value_dense", inputs_first),
    "attention_output": Place("_self_attention_layer/output_dense", outputs_last),
    "feedforward_norm": Place("_feedforward_layer_norm"),
    "feedforward_up": Place("_feedforward_intermediate_dense", inputs_first),
    "feedforward_down": Place("_feedforward_output_dense", inputs_first),
}


def read_shape(preset: Path) -> Shape:
    """The dimensions of a GPT-2."""
    return shape_of(preset, "gelu")


def weights(preset: Path, positions: int) -> Weights:
    """The weights of a GPT-2, with the first `positions` rows of its position table."""
    source = checkpoint.source(preset, _OUTER, LAYER)
    return folding.weights(read_shape(preset), folding.Extras(positions), source)


def shape_of(preset: Path, activation: str) -> Shape:
    """The dimensions of a decoder of GPT-2's kind: LayerNorm, as many heads of keys as of queries."""
    config = read_json(preset / "config.json")["config"]
    return Shape(
        layers=config["num_layers"],
        hidden=config["hidden_dim"],
        heads=config["num_heads"],
        kv_heads=config["num_heads"],
        head_dim=config["hidden_dim"] // config["num_heads"],
        inner=config["intermediate_dim"],
        vocabulary=config["vocabulary_size"],
        epsilon=1e-5,  # keras_hub/src/models/gpt2/gpt2_backbone.py, as in OpenAI's model
        activation=activation,
        centred=True,
    )
