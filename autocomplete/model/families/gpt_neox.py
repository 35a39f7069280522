"""GPT-NeoX and Pythia, as KerasHub has them: parallel residual, rotary embeddings of a part of each head."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from autocomplete.common.arrays import Array
from autocomplete.model import checkpoint, rope
from autocomplete.model.checkpoint import WeightSource, WeightSources, from_inputs_first
from autocomplete.model.config import DecoderConfig, LayerConfig
from autocomplete.model.families import gpt2
from autocomplete.model.families.family import Family
from autocomplete.model.folding import OptionalWeights


def _third(index: int) -> Callable[[Array], Array]:
    """Selects the queries, keys or values of a joined kernel or bias `[…, heads, 3 · head_dim]`."""
    return lambda joined: joined.reshape(*joined.shape[:-1], 3, -1)[..., index, :]


def _qkv(index: int) -> WeightSource:
    return WeightSource("_self_attention_layer/_qkv_dense", from_inputs_first, select=_third(index))


def _read_config(preset: Path) -> DecoderConfig:
    backbone, with_gpt2_layers = checkpoint.backbone_config(preset), gpt2.read_config(preset)
    rotary_dim = int(with_gpt2_layers.head_dim * backbone["rotary_percentage"])
    layer = LayerConfig(inv_freq=rope.inv_freq(backbone["rotary_max_wavelength"], rotary_dim))
    return dataclasses.replace(
        with_gpt2_layers,
        norm_epsilon=backbone["layer_norm_epsilon"],
        parallel_residual=True,
        layer_pattern=(layer,),
    )


GPT_NEOX = Family(
    _read_config,
    lambda preset, num_positions: OptionalWeights(),  # KerasHub ties the head to the embedding table
    WeightSources(
        {"embedding": WeightSource("token_embedding"), "norm": WeightSource("layer_norm")},
        gpt2.IN_LAYER
        | {
            "query": _qkv(0),
            "key": _qkv(1),
            "value": _qkv(2),
            "attention_output": WeightSource("_self_attention_layer/_output_dense", from_inputs_first),
        },
    ),
)
