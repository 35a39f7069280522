"""The shape of every weight of a model, by transformers' names and with matrices as [out, in].

A shape is written with the sizes of config.json: hidden size, intermediate size, head_dim (of one head).
"""

from collections.abc import Mapping
from typing import Any


def weight_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of every weight of the model of a complete config.json."""
    if config["model_type"] == "gpt2":
        return _gpt2_shapes(config, config["n_embd"], config["n_inner"])
    hidden, vocabulary = config["hidden_size"], config["vocab_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (vocabulary, hidden),
        "model.norm.weight": (hidden,),
    }
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (vocabulary, hidden)
    layer = _layer_shapes(config)
    layers = range(config["num_hidden_layers"])
    return shapes | {f"model.layers.{i}.{name}": shape for i in layers for name, shape in layer.items()}


def _layer_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shapes of one layer of any model type but GPT-2."""
    kind, hidden, inner = config["model_type"], config["hidden_size"], config["intermediate_size"]
    head_dim = config["head_dim"]
    queries, keys = head_dim * config["num_attention_heads"], head_dim * config["num_key_value_heads"]
    norms = {"input_layernorm": hidden, "post_attention_layernorm": hidden}
    if kind in ("gemma2", "gemma3_text"):
        norms |= {"pre_feedforward_layernorm": hidden, "post_feedforward_layernorm": hidden}
    if kind in ("qwen3", "gemma3_text"):
        norms |= {"self_attn.q_norm": head_dim, "self_attn.k_norm": head_dim}
    shapes: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj.weight": (queries, hidden),
        "self_attn.k_proj.weight": (keys, hidden),
        "self_attn.v_proj.weight": (keys, hidden),
        "self_attn.o_proj.weight": (hidden, queries),
        "mlp.gate_proj.weight": (inner, hidden),
        "mlp.up_proj.weight": (inner, hidden),
        "mlp.down_proj.weight": (hidden, inner),
    }
    if kind == "qwen2":
        shapes |= {f"self_attn.{part}_proj.bias": shapes[f"self_attn.{part}_proj.weight"][:1] for part in "qkv"}
    return shapes | {f"{name}.weight": (size,) for name, size in norms.items()}


def _gpt2_shapes(config: Mapping[str, Any], hidden: int, inner: int) -> dict[str, tuple[int, ...]]:
    matrices = {
        "attn.c_attn": (3 * hidden, hidden),
        "attn.c_proj": (hidden, hidden),
        "mlp.c_fc": (inner, hidden),
        "mlp.c_proj": (hidden, inner),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "wte.weight": (config["vocab_size"], hidden),
        "wpe.weight": (config["n_positions"], hidden),
        "ln_f.weight": (hidden,),
        "ln_f.bias": (hidden,),
    }
    for i in range(config["n_layer"]):
        for name, shape in matrices.items():
            shapes |= {f"h.{i}.{name}.weight": shape, f"h.{i}.{name}.bias": shape[:1]}
        for name in ("ln_1", "ln_2"):
            shapes |= {f"h.{i}.{name}.weight": (hidden,), f"h.{i}.{name}.bias": (hidden,)}
    return {f"transformer.{name}": shape for name, shape in shapes.items()}
