"""The model types of transformers that can be imported.

A table of transformers' defaults, and of the values that KerasHub's converters assume without reading the key.
"""

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
# Keys that the converters do not read, and the values that the converted models have.
Assumed = Mapping[str, Sequence[Any]]
_ACTIVATION: dict[str, Sequence[Any]] = {"hidden_act": ["silu"]}
_ATTENTION: dict[str, Sequence[Any]] = {"attention_bias": [False], "partial_rotary_factor": [1.0]}
_GEMMA_ASSUMED: dict[str, Sequence[Any]] = {
    "hidden_activation": ["gelu_pytorch_tanh", None],
    "rms_norm_eps": [1e-6],
    "tie_word_embeddings": [True],
    "use_bidirectional_attention": [False],
}


@dataclass(frozen=True)
class ModelType:
    """A model_type of transformers.

    Attributes:
      backbone: KerasHub's backbone.
      defaults: transformers' defaults.
      assumed: the values that KerasHub's converter assumes for keys that it does not read.
      sizes: keys that must be whole numbers of at least 1.
      layer_types: the allowed layer types; they alternate in this order if there are several (except in Mistral).
      layers_key: the key that holds the number of layers.
    """

    backbone: str
    defaults: Mapping[str, Any]
    assumed: Assumed
    sizes: Sequence[str] = _SIZES
    layer_types: Sequence[str] = field(default_factory=lambda: ("full_attention",))
    layers_key: str = "num_hidden_layers"


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
        layers_key="n_layer",
    ),
    "llama": ModelType(
        "Llama3Backbone", _LLAMA | {"max_position_embeddings": 2048}, _ACTIVATION | _ATTENTION | {"mlp_bias": [False]}
    ),
    "mistral": ModelType(
        "MistralBackbone",
        _LLAMA | {"num_key_value_heads": 8, "max_position_embeddings": 131_072, "sliding_window": 4096},
        _ACTIVATION | _ATTENTION | {"tie_word_embeddings": [False]},
        layer_types=("full_attention", "sliding_attention"),
    ),
    "qwen2": ModelType(
        "QwenBackbone",
        _LLAMA | {"num_key_value_heads": 32, "max_position_embeddings": 32_768},
        _ACTIVATION | {"use_sliding_window": [False], "partial_rotary_factor": [1.0]},
    ),
    "qwen3": ModelType(
        "Qwen3Backbone",
        _LLAMA | {"num_key_value_heads": 32, "max_position_embeddings": 32_768, "head_dim": 128},
        _ACTIVATION | _ATTENTION | {"use_sliding_window": [False]},
    ),
    "gemma": ModelType(
        "GemmaBackbone",
        _GEMMA | {"num_key_value_heads": 16, "hidden_act": "gelu_pytorch_tanh"},
        # transformers reads hidden_act of Gemma 1 alone; "gelu" of its first files means the tanh approximation
        _GEMMA_ASSUMED | _ATTENTION | {"rope_theta": [10_000.0], "hidden_act": ["gelu_pytorch_tanh", "gelu"]},
    ),
    "gemma2": ModelType(
        "GemmaBackbone",
        _GEMMA2,
        _GEMMA_ASSUMED | _ATTENTION | {"rope_theta": [10_000.0]},
        layer_types=("sliding_attention", "full_attention"),
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
        _GEMMA_ASSUMED
        | _ATTENTION
        | {
            "rope_theta": [1_000_000.0],
            "rope_local_base_freq": [10_000.0],
            "sliding_window_pattern": [6],
            "attn_logit_softcapping": [None],  # KerasHub would apply it; transformers ignores it
        },
        layer_types=(*["sliding_attention"] * 5, "full_attention"),
    ),
}
