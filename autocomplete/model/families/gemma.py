"""Gemma 1, 2 and 3 for text, as KerasHub has them: RMSNorm, rotary embeddings, GeGLU, scaled embeddings, soft caps.

Gemma 2 alternates layers with a sliding window and without; in Gemma 3 five with a window precede one without.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.model import checkpoint, rope
from autocomplete.model.checkpoint import (
    WeightSource,
    WeightSources,
    from_heads_first,
    from_inputs_first,
    from_outputs_last,
)
from autocomplete.model.config import DecoderConfig, LayerConfig
from autocomplete.model.families.family import Family
from autocomplete.model.folding import OptionalWeights

_EPSILON = 1e-6  # of KerasHub's blocks, which do not get the backbone's layer_norm_epsilon
_LOCAL_THETA, _GLOBAL_THETA = 10_000.0, 1_000_000.0  # of Gemma 3's layers with a sliding window, and of the others


def _plus_one(gamma: Array) -> Array:
    """Gemma stores the factor of a norm less 1."""
    return np.float32(1) + gamma


_SOURCES = WeightSources(
    {
        "embedding": WeightSource("token_embedding"),
        "norm": WeightSource("final_normalization", select=_plus_one),
    },
    {
        "attention_norm": WeightSource("pre_attention_norm", select=_plus_one),
        "query": WeightSource("attention/query_dense", from_heads_first),
        "key": WeightSource("attention/key_dense", from_heads_first),
        "value": WeightSource("attention/value_dense", from_heads_first),
        "query_norm": WeightSource("attention/query_norm", select=_plus_one),
        "key_norm": WeightSource("attention/key_norm", select=_plus_one),
        "attention_output": WeightSource("attention/output_dense", from_outputs_last),
        "attention_post_norm": WeightSource("post_attention_norm", select=_plus_one),
        "feedforward_norm": WeightSource("pre_ffw_norm", select=_plus_one),
        "feedforward_gate": WeightSource("gating_ffw", from_inputs_first),
        "feedforward_up": WeightSource("gating_ffw_2", from_inputs_first),
        "feedforward_down": WeightSource("ffw_linear", from_inputs_first),
        "feedforward_post_norm": WeightSource("post_ffw_norm", select=_plus_one),
    },
    "decoder_block",
)


def _decoder_config(
    backbone: Mapping[str, Any], intermediate_size: int, layer_pattern: tuple[LayerConfig, ...]
) -> DecoderConfig:
    """The configuration of a decoder with Gemma's layers."""
    return DecoderConfig(
        num_layers=backbone["num_layers"],
        hidden_size=backbone["hidden_dim"],
        num_heads=backbone["num_query_heads"],
        num_kv_heads=backbone["num_key_value_heads"],
        head_dim=backbone["head_dim"],
        intermediate_size=intermediate_size,
        vocab_size=backbone["vocabulary_size"],
        norm_epsilon=_EPSILON,
        activation="gelu",
        gated=True,
        embedding_scale=float(np.sqrt(backbone["hidden_dim"])),
        attention_soft_cap=backbone["attention_logit_soft_cap"],
        logit_soft_cap=backbone["final_logit_soft_cap"],
        qk_norm_epsilon=_EPSILON,
        layer_pattern=layer_pattern,
    )


def _gemma_config(preset: Path) -> DecoderConfig:
    backbone = checkpoint.backbone_config(preset)
    # KerasHub orders a head's dimensions otherwise, but queries and keys alike: the scores are the same.
    unlimited = LayerConfig(inv_freq=rope.inv_freq(10_000.0, backbone["head_dim"]))
    windowed = LayerConfig(backbone["sliding_window_size"], unlimited.inv_freq)
    pattern = (windowed, unlimited) if backbone["use_sliding_window_attention"] else (unlimited,)
    return _decoder_config(backbone, backbone["intermediate_dim"] // 2, pattern)


def _gemma3_config(preset: Path) -> DecoderConfig:
    """Raises UserError for a Gemma 3 that reads images or embeds texts."""
    backbone = checkpoint.backbone_config(preset)
    for key in ("vision_encoder", "is_embedding_model", "use_bidirectional_attention"):
        if backbone[key]:
            raise UserError(f"{preset} is a Gemma 3 with {key}; allowed: one that writes text from text alone")
    head_dim = backbone["head_dim"]
    unlimited = LayerConfig(inv_freq=rope.inv_freq(_GLOBAL_THETA, head_dim, backbone["global_rope_scaling_factor"]))
    local_inv_freq = rope.inv_freq(_LOCAL_THETA, head_dim, backbone["local_rope_scaling_factor"])
    windowed = LayerConfig(backbone["sliding_window_size"], local_inv_freq)
    pattern = (*[windowed] * 5, unlimited) if backbone["use_sliding_window_attention"] else (unlimited,)
    return _decoder_config(backbone, backbone["intermediate_dim"], pattern)


def _optional_weights(preset: Path, *, qk_norm: bool) -> OptionalWeights:
    backbone = checkpoint.backbone_config(preset)
    if backbone["use_post_ffw_norm"] != backbone["use_post_attention_norm"]:
        raise UserError(f"{preset}: use_post_ffw_norm and use_post_attention_norm differ; allowed: both or neither")
    return OptionalWeights(post_norms=backbone["use_post_ffw_norm"], qk_norm=qk_norm)


def _gemma3_optional_weights(preset: Path, _: int) -> OptionalWeights:
    return _optional_weights(preset, qk_norm=checkpoint.backbone_config(preset)["use_query_key_norm"])


GEMMA = Family(_gemma_config, lambda preset, _: _optional_weights(preset, qk_norm=False), _SOURCES)
GEMMA3 = Family(_gemma3_config, _gemma3_optional_weights, _SOURCES)
