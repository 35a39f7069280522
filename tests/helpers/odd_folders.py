"""Small Hugging Face folders, made without Keras, and configurations like theirs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from safetensors.numpy import save_file

from autocomplete.common.arrays import Array
from autocomplete.tokenizer import pre_tokenizers

Arrays = dict[str, Array]
Shapes = dict[str, tuple[int, ...]]
CONFIG, TOKENIZER, SETTINGS, GENERATION, WEIGHTS, INDEX = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
)
START, END, PADDING = SPECIAL = ("<|begin_of_text|>", "<|end_of_text|>", "<|pad|>")
MERGES = [["Ġ", "t"], ["h", "e"], ["Ġt", "he"]]
TOKENS = [*SPECIAL, *sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in MERGES)]
LAYERS, WIDTH, INNER, HEAD, POSITIONS = 2, 16, 24, 4, 96
LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": len(TOKENS),
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": INNER,
    "max_position_embeddings": POSITIONS,
    "head_dim": HEAD,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
}
GPT2 = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "vocab_size": len(TOKENS),
    "n_embd": WIDTH,
    "n_layer": LAYERS,
    "n_head": 4,
    "n_positions": POSITIONS,
}
SEQUENCE = {"Sequence": {"id": "A", "type_id": 0}}
FIRST, LAST = ({"SpecialToken": {"id": token, "type_id": 0}} for token in (START, END))
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
SLIDING, FULL = "sliding_attention", "full_attention"
MISTRAL, QWEN2, QWEN3, GEMMA, GEMMA2, GEMMA3 = (
    {key: value for key, value in LLAMA.items() if key not in ("rope_theta", "hidden_act")}
    | {"model_type": kind, "tie_word_embeddings": kind.startswith("gemma"), "query_pre_attn_scalar": HEAD}
    for kind in ("mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text")
)
HEAD_ROWS, TABLE, NORM = "lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"
QUERY = "model.layers.0.self_attn.q_proj.weight"


def make(folder: Path) -> Path:
    """A folder with the folders "llama" and "gpt2"."""
    _write(folder / "llama", LLAMA, _llama_weights(), pre_tokenizers.LLAMA3)
    _write(folder / "gpt2", GPT2, _gpt2_weights(), pre_tokenizers.GPT2)
    return folder


def _write(folder: Path, config: Mapping[str, Any], arrays: Arrays, words: str) -> None:
    folder.mkdir()
    settings = {"bos_token": START, "eos_token": END, "pad_token": {"content": PADDING, "lstrip": False}}
    contents = {CONFIG: config, GENERATION: {"eos_token_id": 1}, SETTINGS: settings, TOKENIZER: _tokenizer(words)}
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content))
    save_file(arrays, folder / WEIGHTS, {"format": "pt"})


def _llama_weights() -> Arrays:
    shapes: Shapes = {TABLE: (len(TOKENS), WIDTH), NORM: (WIDTH,), HEAD_ROWS: (len(TOKENS), WIDTH)}
    for i in range(LAYERS):
        layer = {
            "self_attn.q_proj": (WIDTH, WIDTH),
            "self_attn.k_proj": (8, WIDTH),
            "self_attn.v_proj": (8, WIDTH),
            "self_attn.o_proj": (WIDTH, WIDTH),
            "mlp.gate_proj": (INNER, WIDTH),
            "mlp.up_proj": (INNER, WIDTH),
            "mlp.down_proj": (WIDTH, INNER),
            "input_layernorm": (WIDTH,),
            "post_attention_layernorm": (WIDTH,),
        }
        shapes |= {f"model.layers.{i}.{name}.weight": shape for name, shape in layer.items()}
    return _random(shapes)


def _gpt2_weights() -> Arrays:
    """Weights without a prefix and with attention masks, as in GPT-2's own files."""
    shapes: Shapes = {"wte.weight": (len(TOKENS), WIDTH), "wpe.weight": (POSITIONS, WIDTH)}
    shapes |= {f"ln_f.{part}": (WIDTH,) for part in ("weight", "bias")}
    matrices = {"attn.c_attn": 48, "attn.c_proj": WIDTH, "mlp.c_fc": 64, "mlp.c_proj": WIDTH}
    for i in range(LAYERS):
        for name, out in matrices.items():
            inner = 64 if name == "mlp.c_proj" else WIDTH
            shapes |= {f"h.{i}.{name}.weight": (inner, out), f"h.{i}.{name}.bias": (out,)}
        shapes |= {f"h.{i}.{norm}.{part}": (WIDTH,) for norm in ("ln_1", "ln_2") for part in ("weight", "bias")}
    masks = {f"h.{i}.attn.bias": np.tril(np.ones((1, 1, POSITIONS, POSITIONS), np.uint8)) for i in range(LAYERS)}
    return _random(shapes) | masks


def _random(shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    random = np.random.default_rng(7)
    return {name: random.normal(0, 0.25, shape).astype(np.float32) for name, shape in shapes.items()}


def _tokenizer(words: str) -> dict[str, Any]:
    flags = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized"], False) | {"special": True}
    single = [{"SpecialToken": {"id": START, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    special_tokens = {START: {"id": START, "ids": [0], "tokens": [START]}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "normalizer": None,
        "added_tokens": [{"id": i, "content": token} | flags for i, token in enumerate(SPECIAL)],
        "pre_tokenizer": pre_tokenizers.pre_tokenizer(words),
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": single,
            "special_tokens": special_tokens,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: i for i, token in enumerate(TOKENS)},
            "merges": MERGES,
        },
    }
