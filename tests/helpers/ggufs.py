"""Toy GGUF files as llama.cpp's converter would write them: models with random weights, by transformers' names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from sentencepiece import sentencepiece_model_pb2

from autocomplete.tokenizer.tokenizer import bytes_to_unicode

Arrays = dict[str, np.ndarray]
HIDDEN, HEADS, GROUPS, CONTEXT, LAYERS = 32, 4, 2, 96, 2
ARCHITECTURES = ("llama", "qwen2", "qwen3", "gpt2", "gemma", "gemma2", "gemma3")
HEAD = {"qwen3": 12, "gemma": 12, "gemma2": 12, "gemma3": 12}  # head sizes other than HIDDEN // HEADS
INNER = {"gpt2": 4 * HIDDEN}  # intermediate sizes other than 96
TEXTS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = ("Ġ t", "h e", "Ġt he", "i n", "in g", "e r", "Ġ a", "2 0", "Ã ©", "Ġ Ġ")
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
# llama.cpp's names by transformers' (gguf-py's tensor_mapping.py, written out)
_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
_NORMS = {"post_attention_layernorm": "ffn_norm"}
_MORE_NORMS = {
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
_WHOLE = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
}


@dataclass
class File:
    """The content of a GGUF file: keys and values, tensors in llama.cpp's layout, and types of quantized tensors."""

    metadata: dict[str, Any]
    tensors: Arrays
    kinds: dict[str, gguf.GGMLQuantizationType] = field(default_factory=dict)

    def write(self, path: Path) -> Path:
        writer = gguf.GGUFWriter(path, self.metadata["general.architecture"])
        for key, value in self.metadata.items():
            if key != "general.architecture":
                _add(writer, key, value)
        for name, array in self.tensors.items():
            kind = self.kinds.get(name)
            if kind is None or array.dtype == np.uint8:
                writer.add_tensor(name, array, raw_dtype=kind)
            else:
                writer.add_tensor(name, gguf.quantize(array, kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    kinds = gguf.GGUFValueType
    if isinstance(value, list):
        writer.add_array(key, value)
        return
    types = {bool: kinds.BOOL, int: kinds.UINT32, float: kinds.FLOAT32, str: kinds.STRING}
    writer.add_key_value(key, value, types[type(value)])


def weights(arch: str, vocabulary: int, tied: bool) -> Arrays:
    """Random weights by transformers' names, in its layout."""
    inner, head = INNER.get(arch, 96), HEAD.get(arch, HIDDEN // HEADS)
    random = np.random.default_rng(7)
    shapes = _shapes_of_gpt2(vocabulary) if arch == "gpt2" else _shapes(arch, vocabulary, inner, head)
    if not tied and arch != "gpt2":
        shapes["lm_head.weight"] = (vocabulary, HIDDEN)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def _shapes(arch: str, vocabulary: int, inner: int, head: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (vocabulary, HIDDEN),
        "model.norm.weight": (HIDDEN,),
    }
    for i in range(LAYERS):
        prefix = f"model.layers.{i}"
        for name in ("input_layernorm", *(_MORE_NORMS if arch in ("gemma2", "gemma3") else _NORMS)):
            shapes[f"{prefix}.{name}.weight"] = (HIDDEN,)
        for name in ("q", "k", "v"):
            shapes[f"{prefix}.self_attn.{name}_proj.weight"] = (head * (HEADS if name == "q" else GROUPS), HIDDEN)
            if arch == "qwen2":
                shapes[f"{prefix}.self_attn.{name}_proj.bias"] = shapes[f"{prefix}.self_attn.{name}_proj.weight"][:1]
        if arch in ("qwen3", "gemma3"):
            shapes |= {f"{prefix}.self_attn.{name}_norm.weight": (head,) for name in "qk"}
        shapes[f"{prefix}.self_attn.o_proj.weight"] = (HIDDEN, head * HEADS)
        shapes |= {f"{prefix}.mlp.{name}_proj.weight": (inner, HIDDEN) for name in ("gate", "up")}
        shapes[f"{prefix}.mlp.down_proj.weight"] = (HIDDEN, inner)
    return shapes


def _shapes_of_gpt2(vocabulary: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "wte.weight": (vocabulary, HIDDEN),
        "wpe.weight": (CONTEXT, HIDDEN),
        "ln_f.weight": (HIDDEN,),
        "ln_f.bias": (HIDDEN,),
    }
    inner = INNER["gpt2"]
    for i in range(LAYERS):
        for name in ("ln_1", "ln_2"):
            shapes |= {f"h.{i}.{name}.weight": (HIDDEN,), f"h.{i}.{name}.bias": (HIDDEN,)}
        matrices = {"attn.c_attn": (HIDDEN, 3 * HIDDEN), "attn.c_proj": (HIDDEN, HIDDEN), "mlp.c_fc": (HIDDEN, inner)}
        for name, shape in (matrices | {"mlp.c_proj": (inner, HIDDEN)}).items():
            shapes |= {f"h.{i}.{name}.weight": shape, f"h.{i}.{name}.bias": shape[1:]}
    return {f"transformer.{name}": shape for name, shape in shapes.items()}


def place(arch: str, name: str) -> str:
    """llama.cpp's name of a weight."""
    base, _, part = name.rpartition(".")
    if base in _WHOLE:
        return f"{_WHOLE[base]}.{part}"
    layer, _, own = base.removeprefix("model.layers.").removeprefix("transformer.h.").partition(".")
    names = _LAYER | (_MORE_NORMS if arch in ("gemma2", "gemma3") else _NORMS)
    return f"blk.{layer}.{names[own]}.{part}"


def converted(arch: str, name: str, array: np.ndarray, heads: int = HEADS, groups: int = GROUPS) -> np.ndarray:
    """A weight as llama.cpp's convert_hf_to_gguf.py converts it."""
    if arch == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
        count = heads if name.endswith("q_proj.weight") else groups
        split = array.reshape(count, 2, array.shape[0] // count // 2, *array.shape[1:])
        return np.ascontiguousarray(split.swapaxes(1, 2).reshape(array.shape))
    if arch == "gpt2" and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
        return np.ascontiguousarray(array.T)
    if arch.startswith("gemma") and name.endswith("norm.weight"):
        return array + 1
    return array


def metadata(arch: str) -> dict[str, Any]:
    """The keys of a toy's architecture."""
    keys: dict[str, Any] = {
        "context_length": CONTEXT,
        "embedding_length": HIDDEN,
        "block_count": LAYERS,
        "feed_forward_length": INNER.get(arch, 96),
        "attention.head_count": HEADS,
    }
    if arch == "gpt2":
        keys["attention.layer_norm_epsilon"] = 1e-5
    else:
        keys |= {"attention.head_count_kv": GROUPS, "attention.layer_norm_rms_epsilon": 1e-6, "rope.freq_base": 10000.0}
    if arch in HEAD:
        keys |= {"attention.key_length": HEAD[arch], "attention.value_length": HEAD[arch]}
    if arch in ("gemma2", "gemma3"):
        keys["attention.sliding_window"] = 11
    if arch == "gemma3":
        keys["rope.freq_base"] = 1e6
    general = {"general.architecture": arch, "general.type": "model", "general.name": "Toy", "general.license": "mit"}
    return general | {f"{arch}.{key}": value for key, value in keys.items()}


def byte_level(pre: str = "smollm") -> dict[str, Any]:
    """A byte-level tokenizer with a few merges, control tokens, a user-defined token and two padding tokens."""
    tokens = [*TEXTS, *bytes_to_unicode().values(), *(m.replace(" ", "") for m in MERGES), "<tool>"]
    kinds = [CONTROL] * len(TEXTS) + [NORMAL] * (256 + len(MERGES)) + [USER_DEFINED]
    padding = [f"[PAD{i}]" for i in range(len(tokens), len(tokens) + 2)]
    keys = {
        "model": "gpt2",
        "pre": pre,
        "tokens": tokens + padding,
        "token_type": [*kinds, UNUSED, USER_DEFINED],
        "merges": list(MERGES),
        "bos_token_id": 1,
        "eos_token_id": 2,
        "padding_token_id": 0,
    }
    return {f"tokenizer.ggml.{key}": value for key, value in keys.items()}


def sentencepiece(proto: bytes) -> dict[str, Any]:
    """The tokenizer of a SentencePiece file."""
    model = sentencepiece_model_pb2.ModelProto.FromString(proto)
    keys = {
        "model": "llama",
        "pre": "default",
        "tokens": [p.piece for p in model.pieces],
        "scores": [p.score for p in model.pieces],
        "token_type": [p.type for p in model.pieces],
        "add_space_prefix": model.normalizer_spec.add_dummy_prefix,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "unknown_token_id": 3,
    }
    return {f"tokenizer.ggml.{key}": value for key, value in keys.items()}


def file(arch: str = "llama", tied: bool = True, tokenizer: Mapping[str, Any] | None = None) -> File:
    """A toy of an architecture with the tokenizer's keys in `tokenizer`."""
    tokenizer = byte_level() if tokenizer is None else tokenizer
    arrays = weights(arch, len(tokenizer["tokenizer.ggml.tokens"]), tied)
    return File(
        metadata(arch) | dict(tokenizer),
        {place(arch, name): converted(arch, name, array) for name, array in arrays.items()},
    )
