"""Hugging Face folders of toys, as transformers writes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from autocomplete.model.families.llama import QWEN3_QK_NORM_EPSILON
from autocomplete.tokenizer import tokenizer
from helpers.toys import Toy

Arrays = dict[str, np.ndarray]


def value(variable: Any) -> np.ndarray:
    return np.array(variable, np.float32)


def gpt2_weights(backbone: Any) -> Arrays:
    """GPT-2's weights: matrices are [in, out]; query, key and value are one matrix."""
    weights = {
        "wte.weight": value(backbone.token_embedding.embeddings),
        "wpe.weight": value(backbone.position_embedding.position_embeddings),
        "ln_f.weight": value(backbone.layer_norm.gamma),
        "ln_f.bias": value(backbone.layer_norm.beta),
    }
    width = backbone.hidden_dim
    for i, layer in enumerate(backbone.transformer_layers):
        attention = layer._self_attention_layer
        projections = [getattr(attention, f"{name}_dense") for name in ("query", "key", "value")]
        weights |= {
            f"h.{i}.ln_1.weight": value(layer._self_attention_layer_norm.gamma),
            f"h.{i}.ln_1.bias": value(layer._self_attention_layer_norm.beta),
            f"h.{i}.ln_2.weight": value(layer._feedforward_layer_norm.gamma),
            f"h.{i}.ln_2.bias": value(layer._feedforward_layer_norm.beta),
            f"h.{i}.attn.c_attn.weight": np.concatenate([value(p.kernel).reshape(width, -1) for p in projections], 1),
            f"h.{i}.attn.c_attn.bias": np.concatenate([value(p.bias).reshape(-1) for p in projections]),
            f"h.{i}.attn.c_proj.weight": value(attention.output_dense.kernel).reshape(-1, width),
            f"h.{i}.attn.c_proj.bias": value(attention.output_dense.bias),
            f"h.{i}.mlp.c_fc.weight": value(layer._feedforward_intermediate_dense.kernel),
            f"h.{i}.mlp.c_fc.bias": value(layer._feedforward_intermediate_dense.bias),
            f"h.{i}.mlp.c_proj.weight": value(layer._feedforward_output_dense.kernel),
            f"h.{i}.mlp.c_proj.bias": value(layer._feedforward_output_dense.bias),
        }
    return {f"transformer.{name}": array for name, array in weights.items()}


def llama_weights(backbone: Any) -> Arrays:
    """Weights by Llama's names, which Mistral and Qwen have too: matrices are [out, in]."""
    weights = {
        "model.embed_tokens.weight": value(backbone.token_embedding.embeddings),
        "model.norm.weight": value(backbone.layer_norm.scale),
    }
    if not getattr(backbone, "tie_word_embeddings", False):
        weights["lm_head.weight"] = value(backbone.token_embedding.reverse_embeddings).T
    width = backbone.hidden_dim
    for i, layer in enumerate(backbone.transformer_layers):
        attention, prefix = layer._self_attention_layer, f"model.layers.{i}"
        weights |= {
            f"{prefix}.input_layernorm.weight": value(layer._self_attention_layernorm.scale),
            f"{prefix}.post_attention_layernorm.weight": value(layer._feedforward_layernorm.scale),
            f"{prefix}.self_attn.o_proj.weight": value(attention._output_dense.kernel).reshape(-1, width).T,
            f"{prefix}.mlp.gate_proj.weight": value(layer._feedforward_gate_dense.kernel).T,
            f"{prefix}.mlp.up_proj.weight": value(layer._feedforward_intermediate_dense.kernel).T,
            f"{prefix}.mlp.down_proj.weight": value(layer._feedforward_output_dense.kernel).T,
        }
        for name, short in (("query", "q"), ("key", "k"), ("value", "v")):
            dense = getattr(attention, f"_{name}_dense")
            weights[f"{prefix}.self_attn.{short}_proj.weight"] = value(dense.kernel).reshape(width, -1).T
            if type(backbone).__name__ == "Qwen3Backbone" and short in "qk":
                # KerasHub normalizes heads with an epsilon of 1e-5: scaled, they give the same with the model's epsilon
                factor = np.sqrt(backbone.layer_norm_epsilon / QWEN3_QK_NORM_EPSILON)
                weights[f"{prefix}.self_attn.{short}_proj.weight"] *= np.float32(factor)
            if dense.bias is not None:
                weights[f"{prefix}.self_attn.{short}_proj.bias"] = value(dense.bias).reshape(-1)
            norm = getattr(attention, f"_{name}_dense_layer_norm", None)
            if norm is not None:
                weights[f"{prefix}.self_attn.{short}_norm.weight"] = value(norm.scale)
    return weights


def config_of(kind: str, backbone: Any) -> dict[str, Any]:
    """config.json as transformers writes it."""
    if kind == "gpt2":
        return _gpt2_config(backbone)
    settings = backbone.get_config()
    config = {
        "model_type": kind,
        "architectures": [f"{kind.capitalize()}ForCausalLM"],
        "hidden_act": "silu",
        "vocab_size": backbone.vocabulary_size,
        "num_hidden_layers": backbone.num_layers,
        "num_attention_heads": backbone.num_query_heads,
        "hidden_size": backbone.hidden_dim,
        "intermediate_size": backbone.intermediate_dim,
        "num_key_value_heads": backbone.num_key_value_heads,
        "rope_theta": settings["rope_max_wavelength"],
        "rms_norm_eps": settings["layer_norm_epsilon"],
        "tie_word_embeddings": getattr(backbone, "tie_word_embeddings", False),
        "max_position_embeddings": 96,
        "head_dim": settings.get("head_dim") or backbone.hidden_dim // backbone.num_query_heads,
        "sliding_window": settings.get("sliding_window"),
        "use_sliding_window": False,
    }
    if settings.get("rope_frequency_adjustment_factor"):
        config["rope_scaling"] = {
            "rope_type": "llama3",
            "factor": settings["rope_frequency_adjustment_factor"],
            "low_freq_factor": settings["rope_low_freq_factor"],
            "high_freq_factor": settings["rope_high_freq_factor"],
            "original_max_position_embeddings": settings["rope_pretraining_sequence_length"],
        }
    return config


def _gpt2_config(backbone: Any) -> dict[str, Any]:
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": backbone.vocabulary_size,
        "n_layer": backbone.num_layers,
        "n_head": backbone.num_heads,
        "n_embd": backbone.hidden_dim,
        "n_positions": backbone.max_sequence_length,
        "resid_pdrop": 0.1,
        "layer_norm_epsilon": 1e-5,
        "activation_function": "gelu_new",
        "n_inner": None,
    }


def write_tokenizer(kind: str, toy: Toy, folder: Path) -> None:
    """The tokenizer's files, by transformers' names."""
    assets = toy.preset / tokenizer.FOLDER
    if kind == "mistral":
        (folder / "tokenizer.model").write_bytes((assets / "vocabulary.spm").read_bytes())
        return
    ids = json.loads((assets / "vocabulary.json").read_text())
    merges = [line for line in (assets / "merges.txt").read_text().splitlines() if not line.startswith("#")]
    if kind == "gpt2":
        (folder / "vocab.json").write_text(json.dumps(ids))
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
        return
    special = tokenizer.special_tokens_by_name(ids)
    content = {
        "model": {
            "type": "BPE",
            "vocab": {t: i for t, i in ids.items() if t not in special},
            "merges": [m.split(" ") for m in merges],
        },
        "added_tokens": [{"id": ids[t], "content": t, "special": True} for t in special],
    }
    (folder / "tokenizer.json").write_text(json.dumps(content))
    special_tokens = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"} if kind == "llama" else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(special_tokens))


def write(kind: str, toy: Toy, folder: Path, shards: int = 1) -> Path:
    """A Hugging Face folder of a toy."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config_of(kind, toy.model.backbone)))
    arrays = (gpt2_weights if kind == "gpt2" else llama_weights)(toy.model.backbone)
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    numbered = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    names = numbered if shards > 1 else ["model.safetensors"]
    contents: list[Arrays] = [{} for _ in names]
    for number, name in enumerate(arrays):
        contents[number % shards][name] = arrays[name]
    for name, shard in zip(names, contents, strict=True):
        save_file(shard, folder / name, {"format": "pt"})
    if shards > 1:
        weight_map = {array: name for name, shard in zip(names, contents, strict=True) for array in shard}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    write_tokenizer(kind, toy, folder)
    return folder
