"""Llama 2 and 3, Mistral, Qwen 2 and 2.5, Qwen 3, as KerasHub has them: RMSNorm, rotary embeddings, SwiGLU.

Mistral has a sliding window, Qwen 2 biases of query, key and value, Qwen 3 norms of each head's query and key.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autocomplete.model import checkpoint, rope
from autocomplete.model.checkpoint import WeightSource, WeightSources, from_inputs_first, from_outputs_last
from autocomplete.model.config import DecoderConfig, LayerConfig
from autocomplete.model.decoder import HEAD
from autocomplete.model.families.family import Family
from autocomplete.model.folding import OptionalWeights

# KerasHub 0.32 does not hand the backbone's epsilon on to the norms of queries and keys.
QWEN3_QK_NORM_EPSILON = 1e-5

_ATTENTION = "_self_attention_layer"
_SOURCES = WeightSources(
    {
        "embedding": WeightSource("token_embedding"),
        HEAD: WeightSource("token_embedding", from_inputs_first, variable=1),
        "norm": WeightSource("sequence_output_layernorm"),
    },
    {
        "attention_norm": WeightSource("_self_attention_layernorm"),
        "query": WeightSource(f"{_ATTENTION}/_query_dense", from_inputs_first),
        "key": WeightSource(f"{_ATTENTION}/_key_dense", from_inputs_first),
        "value": WeightSource(f"{_ATTENTION}/_value_dense", from_inputs_first),
        "query_norm": WeightSource(f"{_ATTENTION}/_query_dense_layer_norm"),
        "key_norm": WeightSource(f"{_ATTENTION}/_key_dense_layer_norm"),
        "attention_output": WeightSource(f"{_ATTENTION}/_output_dense", from_outputs_last),
        "feedforward_norm": WeightSource("_feedforward_layernorm"),
        "feedforward_gate": WeightSource("_feedforward_gate_dense", from_inputs_first),
        "feedforward_up": WeightSource("_feedforward_intermediate_dense", from_inputs_first),
        "feedforward_down": WeightSource("_feedforward_output_dense", from_inputs_first),
    },
)


def _decoder_config(
    backbone: Mapping[str, Any],
    inv_freq: tuple[float, ...],
    sliding_window: int | None = None,
    qk_norm_epsilon: float = 0.0,
) -> DecoderConfig:
    """The configuration of a decoder with Llama's layers."""
    return DecoderConfig(
        num_layers=backbone["num_layers"],
        hidden_size=backbone["hidden_dim"],
        num_heads=backbone["num_query_heads"],
        num_kv_heads=backbone["num_key_value_heads"],
        head_dim=_head_dim(backbone),
        intermediate_size=backbone["intermediate_dim"],
        vocab_size=backbone["vocabulary_size"],
        norm_epsilon=backbone["layer_norm_epsilon"],
        activation="silu",
        gated=True,
        qk_norm_epsilon=qk_norm_epsilon,
        layer_pattern=(LayerConfig(sliding_window, inv_freq),),
    )


def _head_dim(backbone: Mapping[str, Any]) -> int:
    return int(backbone.get("head_dim") or backbone["hidden_dim"] // backbone["num_query_heads"])


def _linearly_scaled_inv_freq(backbone: Mapping[str, Any]) -> tuple[float, ...]:
    return rope.inv_freq(backbone["rope_max_wavelength"], _head_dim(backbone), backbone["rope_scaling_factor"])


def _llama_config(preset: Path) -> DecoderConfig:
    backbone, scaling = checkpoint.backbone_config(preset), None
    if backbone["rope_frequency_adjustment_factor"] is not None:
        scaling = rope.Llama3RopeScaling(
            backbone["rope_frequency_adjustment_factor"],
            backbone["rope_low_freq_factor"],
            backbone["rope_high_freq_factor"],
            backbone["rope_pretraining_sequence_length"],
        )
    # KerasHub 0.32 takes a rope_position_scaling_factor and does not use it.
    inv_freq = rope.inv_freq(backbone["rope_max_wavelength"], _head_dim(backbone), llama3=scaling)
    return _decoder_config(backbone, inv_freq)


def _mistral_config(preset: Path) -> DecoderConfig:
    backbone = checkpoint.backbone_config(preset)
    return _decoder_config(backbone, _linearly_scaled_inv_freq(backbone), backbone["sliding_window"])


def _qwen_config(preset: Path) -> DecoderConfig:
    backbone = checkpoint.backbone_config(preset)
    window = backbone["sliding_window_size"] if backbone["use_sliding_window_attention"] else None
    return _decoder_config(backbone, _linearly_scaled_inv_freq(backbone), window)


def _qwen3_config(preset: Path) -> DecoderConfig:
    backbone = checkpoint.backbone_config(preset)
    window = backbone["sliding_window_size"] or None
    return _decoder_config(backbone, _linearly_scaled_inv_freq(backbone), window, QWEN3_QK_NORM_EPSILON)


def _untied(preset: Path) -> bool:
    return not checkpoint.backbone_config(preset).get("tie_word_embeddings", False)


LLAMA = Family(_llama_config, lambda preset, _: OptionalWeights(untied_head=_untied(preset)), _SOURCES)
MISTRAL = Family(_mistral_config, lambda preset, _: OptionalWeights(untied_head=True), _SOURCES)
QWEN = Family(_qwen_config, lambda preset, _: OptionalWeights(qkv_bias=True, untied_head=_untied(preset)), _SOURCES)
QWEN3 = Family(_qwen3_config, lambda preset, _: OptionalWeights(qk_norm=True, untied_head=_untied(preset)), _SOURCES)
