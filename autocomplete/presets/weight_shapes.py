"""The shape of every weight of a model, by the names of transformers."""

from collections.abc import Mapping
from typing import Any


def shapes_of(made: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Every weight of a model by transformers' name, and its shape in a GGUF file, where a matrix is [out, in]."""
    if made["model_type"] == "gpt2":
        return _shapes_of_gpt2(made, made["n_embd"], made["n_inner"])
    kind, hidden, inner, head = (made[key] for key in ("model_type", "hidden_size", "intermediate_size", "head_dim"))
    queries, keys = head * made["num_attention_heads"], head * made["num_key_value_heads"]
    vectors = {"input_layernorm": hidden, "post_attention_layernorm": hidden}
    if kind in ("gemma2", "gemma3_text"):
        vectors |= {"pre_feedforward_layernorm": hidden, "post_feedforward_layernorm": hidden}
    if kind in ("qwen3", "gemma3_text"):
        vectors |= {"self_attn.q_norm": head, "self_attn.k_norm": head}
    layer: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj.weight": (queries, hidden),
        "self_attn.k_proj.weight": (keys, hidden),
        "self_attn.v_proj.weight": (keys, hidden),
        "self_attn.o_proj.weight": (hidden, queries),
        "mlp.gate_proj.weight": (inner, hidden),
        "mlp.up_proj.weight": (inner, hidden),
        "mlp.down_proj.weight": (hidden, inner),
    }
    if kind == "qwen2":
        layer |= {f"self_attn.{part}_proj.bias": layer[f"self_attn.{part}_proj.weight"][:1] for part in "qkv"}
    layer |= {f"{name}.weight": (size,) for name, size in vectors.items()}
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (made["vocab_size"], hidden),
        "model.norm.weight": (hidden,),
    }
    if not made["tie_word_embeddings"]:
        found["lm_head.weight"] = (made["vocab_size"], hidden)
    layers = range(made["num_hidden_layers"])
    return found | {f"model.layers.{i}.{name}": shape for i in layers for name, shape in layer.items()}


def _shapes_of_gpt2(made: Mapping[str, Any], hidden: int, inner: int) -> dict[str, tuple[int, ...]]:
    matrices = {
        "attn.c_attn": (3 * hidden, hidden),
        "attn.c_proj": (hidden, hidden),
        "mlp.c_fc": (inner, hidden),
        "mlp.c_proj": (hidden, inner),
    }
    found: dict[str, tuple[int, ...]] = {
        "wte.weight": (made["vocab_size"], hidden),
        "wpe.weight": (made["n_positions"], hidden),
    }
    found |= {"ln_f.weight": (hidden,), "ln_f.bias": (hidden,)}
    for i in range(made["n_layer"]):
        for name, shape in matrices.items():
            found |= {f"h.{i}.{name}.weight": shape, f"h.{i}.{name}.bias": shape[:1]}
        for name in ("ln_1", "ln_2"):
            found |= {f"h.{i}.{name}.weight": (hidden,), f"h.{i}.{name}.bias": (hidden,)}
    return {f"transformer.{name}": shape for name, shape in found.items()}
