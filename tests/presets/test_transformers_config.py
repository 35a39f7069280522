"""A config.json is completed by the defaults of transformers."""

from typing import Any

import pytest

from autocomplete.presets import transformers_config
from helpers.odd_folders import FULL, GEMMA, GEMMA2, GEMMA3, GPT2, HEAD, LLAMA, MISTRAL, QWEN2, QWEN3, SLIDING

# Keys that are missing (...) or null, and the defaults of transformers 5.24.
DEFAULTS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (MISTRAL | {"num_attention_heads": 8}, {"num_key_value_heads": ...}, {"num_key_value_heads": 8}),
    (MISTRAL, {"num_key_value_heads": None}, {"num_key_value_heads": 4}),
    (MISTRAL, {}, {"sliding_window": 4096, "rope_theta": 10_000.0}),
    (MISTRAL, {"sliding_window": None}, {"sliding_window": None}),
    (MISTRAL, {"sliding_window": 3, "layer_types": [FULL, FULL]}, {"sliding_window": None}),
    (MISTRAL, {"sliding_window": 3, "layer_types": [SLIDING, SLIDING]}, {"sliding_window": 3}),
    (MISTRAL, {"sliding_window": 3, "layer_types": None}, {"sliding_window": 3}),
    (MISTRAL, {"max_position_embeddings": ...}, {"max_position_embeddings": 131_072}),
    (MISTRAL, {"head_dim": None}, {"head_dim": HEAD}),
    (LLAMA, {"num_key_value_heads": ...}, {"num_key_value_heads": 4}),
    (LLAMA, {"num_key_value_heads": None}, {"num_key_value_heads": 4}),
    (QWEN2 | {"num_attention_heads": 4}, {"num_key_value_heads": None}, {"num_key_value_heads": 4}),
    (QWEN2, {"max_position_embeddings": ...}, {"max_position_embeddings": 32_768}),
    (QWEN2, {"sliding_window": 7, "max_window_layers": 1}, {"use_sliding_window": False}),
    (QWEN3, {"head_dim": ...}, {"head_dim": 128}),
    (GEMMA | {"num_attention_heads": 16}, {"num_key_value_heads": ...}, {"num_key_value_heads": 16}),
    (GEMMA, {"head_dim": ..., "tie_word_embeddings": ...}, {"head_dim": 256, "tie_word_embeddings": True}),
    (GEMMA, {"hidden_act": "gelu"}, {"hidden_activation": "gelu_pytorch_tanh"}),
    (GEMMA, {"hidden_act": "gelu", "hidden_activation": None}, {"hidden_activation": "gelu_pytorch_tanh"}),
    (GEMMA2, {"hidden_act": "silu"}, {"hidden_activation": "gelu_pytorch_tanh"}),  # which does not read hidden_act
    (GEMMA2, {}, {"final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0, "sliding_window": 4096}),
    (
        GEMMA2,
        {"final_logit_softcapping": None, "attn_logit_softcapping": None},
        {"final_logit_softcapping": None, "attn_logit_softcapping": None},
    ),
    (GEMMA2, {"layer_types": [SLIDING, FULL]}, {}),
    (GEMMA3, {}, {"final_logit_softcapping": None, "rope_theta": 1e6, "rope_local_base_freq": 1e4}),
    (
        GEMMA3,
        {"rope_parameters": {FULL: {"rope_type": "linear", "factor": 8.0}, SLIDING: None}},
        {"rope_scaling": {"rope_type": "linear", "factor": 8.0}, "rope_parameters": {}},
    ),
    (GEMMA3, {"rope_parameters": {SLIDING: {"rope_type": "default"}}}, {"rope_scaling": None, "rope_theta": 1e6}),
    (GPT2, {"layer_types": [FULL, FULL]}, {"n_layer": 2}),
    (LLAMA, {"rope_scaling": {"rope_type": "default", "type": "linear", "factor": 4.0}}, {"rope_scaling": None}),
    (GPT2, {"n_positions": ...}, {"n_positions": 1024, "tie_word_embeddings": True, "n_inner": None}),
]


@pytest.mark.parametrize(("base", "changes", "expected"), DEFAULTS)
def test_defaults_are_transformers(base: dict[str, Any], changes: dict[str, Any], expected: dict[str, Any]) -> None:
    config = {key: value for key, value in (base | changes).items() if value is not ...}
    completed = transformers_config.complete(config, "config.json")
    assert {key: completed[key] for key in expected} == expected
