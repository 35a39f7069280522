"""GPT-2 and OPT, as KerasHub has them: LayerNorm, learned positions, biases everywhere.

OPT differs in its activation. In other libraries its position table has two unused rows first; KerasHub has none.
"""

import functools
from pathlib import Path

from autocomplete.model import checkpoint
from autocomplete.model.checkpoint import WeightSource, WeightSources, from_inputs_first, from_outputs_last
from autocomplete.model.config import DecoderConfig
from autocomplete.model.families.family import Family
from autocomplete.model.folding import OptionalWeights

IN_LAYER = {
    "attention_norm": WeightSource("_self_attention_layer_norm"),
    "query": WeightSource("_self_attention_layer/query_dense", from_inputs_first),
    "key": WeightSource("_self_attention_layer/key_dense", from_inputs_first),
    "value": WeightSource("_self_attention_layer/value_dense", from_inputs_first),
    "attention_output": WeightSource("_self_attention_layer/output_dense", from_outputs_last),
    "feedforward_norm": WeightSource("_feedforward_layer_norm"),
    "feedforward_up": WeightSource("_feedforward_intermediate_dense", from_inputs_first),
    "feedforward_down": WeightSource("_feedforward_output_dense", from_inputs_first),
}


def read_config(preset: Path, activation: str = "gelu") -> DecoderConfig:
    """The configuration of a decoder with GPT-2's layers."""
    backbone = checkpoint.backbone_config(preset)
    return DecoderConfig(
        num_layers=backbone["num_layers"],
        hidden_size=backbone["hidden_dim"],
        num_heads=backbone["num_heads"],
        num_kv_heads=backbone["num_heads"],
        head_dim=backbone["hidden_dim"] // backbone["num_heads"],
        intermediate_size=backbone["intermediate_dim"],
        vocab_size=backbone["vocabulary_size"],
        norm_epsilon=1e-5,  # keras_hub/src/models/gpt2/gpt2_backbone.py, as in OpenAI's model
        activation=activation,
        layer_norm=True,
    )


def _optional_weights(_: Path, num_positions: int) -> OptionalWeights:
    return OptionalWeights(num_positions)


GPT2 = Family(
    read_config,
    _optional_weights,
    WeightSources(
        {
            "embedding": WeightSource("token_embedding"),
            "positions": WeightSource("position_embedding"),
            "norm": WeightSource("layer_norm"),
        },
        IN_LAYER,
    ),
)
OPT = Family(
    functools.partial(read_config, activation="relu"),
    _optional_weights,
    WeightSources(
        {
            "embedding": WeightSource("embeddings/token_embedding"),
            "positions": WeightSource("embeddings/position_embedding"),
            "norm": WeightSource("layer_norm"),
        },
        IN_LAYER,
    ),
)
