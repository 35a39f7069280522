"""The model types of transformers that can be imported, with their defaults and what KerasHub takes for granted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "max_position_embeddings",
    "head_dim",
)
_LLAMA = {
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
    "use_sliding_window": False,
    "sliding_window": None,
    "partial_rotary_factor": 1.0,
}
_GEMMA = _LLAMA | {
    "hidden_activation": "gelu_pytorch_tanh",
    "tie_word_embeddings": True,
    "head_dim": 256,
    "max_position_embeddings": 8192,
    "use_bidirectional_attention": False,
}
_GEMMA2 = _GEMMA | {
    "num_key_value_heads": 4,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "final_logit_softcapping": 30.0,
    "attn_logit_softcapping": 50.0,
}
# What the converters do not read, and the values that their results have.
Granted = Mapping[str, Sequence[Any]]
_SILU: dict[str, Sequence[Any]] = {"hidden_act": ["silu"]}
_PLAIN: dict[str, Sequence[Any]] = {"attention_bias": [False], "partial_rotary_factor": [1.0]}
_GELU: dict[str, Sequence[Any]] = {
    "hidden_activation": ["gelu_pytorch_tanh", None],
    "rms_norm_eps": [1e-6],
    "tie_word_embeddings": [True],
    "use_bidirectional_attention": [False],
}


@dataclass(frozen=True)
class ModelType:
    """A model_type: KerasHub's backbone, numbers that must be there, transformers' defaults, what is granted."""

    backbone: str
    defaults: Mapping[str, Any]
    granted: Granted
    sizes: Sequence[str] = _SIZES
    layers: Sequence[str] = field(default_factory=lambda: ("full_attention",))


MODEL_TYPES = {
    "gpt2": ModelType(
        "GPT2Backbone",
        {
            "n_positions": 1024,
            "resid_pdrop": 0.1,
            "layer_norm_epsilon": 1e-5,
            "activation_function": "gelu_new",
            "tie_word_embeddings": True,
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
            "add_cross_attention": False,
            "n_inner": None,
        },
        {
            "activation_function": ["gelu_new", "gelu_pytorch_tanh"],
            "layer_norm_epsilon": [1e-5],
            "scale_attn_weights": [True],
            "scale_attn_by_inverse_layer_idx": [False],
            "tie_word_embeddings": [True],
            "add_cross_attention": [False],
        },
        ("vocab_size", "n_layer", "n_head", "n_embd", "n_positions"),
    ),
    "llama": ModelType(
        "Llama3Backbone", _LLAMA | {"max_position_embeddings": 2048}, _SILU | _PLAIN | {"mlp_bias": [False]}
    ),
    "mistral": ModelType(
        "MistralBackbone",
        _LLAMA | {"num_key_value_heads": 8, "max_position_embeddings": 131_072, "sliding_window": 4096},
        _SILU | _PLAIN | {"tie_word_embeddings": [False]},
        layers=("full_attention", "sliding_attention"),
    ),
    "qwen2": ModelType(
        "QwenBackbone",
        _LLAMA | {"num_key_value_heads": 32, "max_position_embeddings": 32_768},
        _SILU | {"use_sliding_window": [False], "partial_rotary_factor": [1.0]},
    ),
    "qwen3": ModelType(
        "Qwen3Backbone",
        _LLAMA | {"num_key_value_heads": 32, "max_position_embeddings": 32_768, "head_dim": 128},
        _SILU | _PLAIN | {"use_sliding_window": [False]},
    ),
    "gemma": ModelType(
        "GemmaBackbone", _GEMMA | {"num_key_value_heads": 16}, _GELU | _PLAIN | {"rope_theta": [10_000.0]}
    ),
    "gemma2": ModelType(
        "GemmaBackbone",
        _GEMMA2,
        _GELU | _PLAIN | {"rope_theta": [10_000.0]},
        layers=("sliding_attention", "full_attention"),
    ),
    "gemma3_text": ModelType(
        "Gemma3Backbone",
        _GEMMA2
        | {
            "max_position_embeddings": 131_072,
            "final_logit_softcapping": None,
            "attn_logit_softcapping": None,
            "rope_theta": 1_000_000.0,
            "rope_local_base_freq": 10_000.0,
            "sliding_window_pattern": 6,
        },
        _GELU
        | _PLAIN
        | {"rope_theta": [1_000_000.0], "rope_local_base_freq": [10_000.0], "sliding_window_pattern": [6]},
        layers=(*["sliding_attention"] * 5, "full_attention"),
    ),
}
