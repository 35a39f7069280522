"""Converts the metadata of a GGUF file to the config.json that transformers would have for the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject, plain
from autocomplete.presets.gguf_file import Metadata, shown

# transformers' class for each general.architecture
CLASSES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gpt2": "GPT2LMHeadModel",
    "gemma": "GemmaForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3": "Gemma3ForCausalLM",
}
# General keys, and their allowed values.
_GENERAL: Mapping[str, tuple[Any, ...]] = {
    "general.architecture": tuple(CLASSES),
    "general.type": ("model",),
    "general.quantization_version": (2,),
    "split.count": (0, 1),
    "adapter.type": (),
}
# Keys of an architecture that this module reads, or that have no effect.
_READ = {
    "vocab_size",
    "context_length",
    "embedding_length",
    "block_count",
    "feed_forward_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "rope.freq_base",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "tensor_data_layout",
}
_READ_IF_WINDOWED = {"attention.sliding_window", "attn_logit_softcapping", "final_logit_softcapping"}
# Keys of an architecture that this module does not read, and their values without an effect.
_NO_EFFECT: Mapping[str, tuple[Any, ...]] = {
    "expert_count": (0,),
    "expert_used_count": (0,),
    "attention.causal": (True,),
    "attention.max_alibi_bias": (0,),
    "attention.clamp_kqv": (0,),
    "rope.scaling.type": ("none", "linear"),
    "rope.scaling.factor": (1,),
    "rope.scaling.attn_factor": (1,),
    "rope.scale_linear": (1,),
    "rope.freq_base_swa": (10000,),
}
# Architectures with sliding windows: the last of so many layers attends to all positions (set_swa_pattern, llama.cpp).
_WINDOW_PERIOD = {"gemma2": 2, "gemma3": 6}
_LAYERS_OF_27B = {"gemma2": 46, "gemma3": 62}  # llama.cpp's LLM_TYPE_27B


@dataclass(frozen=True)
class _ArchitectureKeys:
    """The metadata of a file under the prefix of its architecture."""

    metadata: Metadata
    arch: str

    def whole_number(self, key: str, *default: int) -> int:
        return int(self.metadata.above_zero(f"{self.arch}.{key}", int, *default))

    def number(self, key: str, *default: float | None) -> Any:
        return self.metadata.above_zero(f"{self.arch}.{key}", float, *default)


def read_architecture(metadata: Metadata) -> str:
    """The `general.architecture` of a file; raises UserError unless it is a complete model of one in CLASSES."""
    metadata.get("general.architecture", str)
    for key, allowed in _GENERAL.items():
        if key in metadata.values:
            _require(metadata, key, allowed or ("none: not an adapter, but a model",))
    return str(metadata.values["general.architecture"])


def read_config(metadata: Metadata, vocabulary_size: int, tied: bool, layer_limit: int) -> JsonObject:
    """The config.json of the model in a GGUF file.

    Args:
      metadata: the file's metadata.
      vocabulary_size: rows of the embedding table.
      tied: whether the head is the embedding table.
      layer_limit: the largest number of layers that the file can hold.

    Raises:
      UserError: with file and key, for a missing key, a wrong type, an unknown key of the architecture, and a value
        that asks for something that is not implemented.
    """
    arch = read_architecture(metadata)
    keys = _ArchitectureKeys(metadata, arch)
    sizes = _read_sizes(keys)
    _require_known_keys(keys, sizes["head_dim"])
    config = {
        "model_type": "gemma3_text" if arch == "gemma3" else arch,
        "architectures": [CLASSES[arch]],
        "vocab_size": vocabulary_size,
        "tie_word_embeddings": tied,
    }
    layers = keys.whole_number("block_count")
    if layers > layer_limit:  # checked first: what follows takes memory for each layer
        raise UserError(f"{metadata.path}: {arch}.block_count is {layers}; allowed: at most {layer_limit}, its tensors")
    settings = _read_gpt2(keys, sizes) if arch == "gpt2" else _read_rotary_model(keys, sizes, layers)
    return config | settings | {"n_layer" if arch == "gpt2" else "num_hidden_layers": layers}


def _read_gpt2(keys: _ArchitectureKeys, sizes: Mapping[str, int]) -> JsonObject:
    return {
        "n_head": sizes["num_attention_heads"],
        "n_embd": sizes["hidden_size"],
        "n_inner": keys.whole_number("feed_forward_length"),
        "n_positions": keys.whole_number("context_length"),
        "layer_norm_epsilon": keys.number("attention.layer_norm_epsilon"),
        "activation_function": "gelu_new",
        "resid_pdrop": 0.0,
    }


def _read_rotary_model(keys: _ArchitectureKeys, sizes: Mapping[str, int], layers: int) -> JsonObject:
    settings: JsonObject = dict(sizes) | {
        "intermediate_size": keys.whole_number("feed_forward_length"),
        "max_position_embeddings": keys.whole_number("context_length"),
        "rms_norm_eps": keys.number("attention.layer_norm_rms_epsilon"),
        "attention_bias": False,
        "mlp_bias": False,
        "rope_theta": keys.number("rope.freq_base", 10000.0),
        "rope_scaling": None,
        "hidden_act": "silu",
        "use_sliding_window": False,
        "sliding_window": None,
    }
    if keys.arch.startswith("gemma"):
        settings |= {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"}
    return settings | _read_windows(keys, sizes, layers) if keys.arch in _WINDOW_PERIOD else settings


def _read_sizes(keys: _ArchitectureKeys) -> dict[str, int]:
    """The hidden size, and number and size of the heads."""
    hidden, heads = keys.whole_number("embedding_length"), keys.whole_number("attention.head_count")
    kv_heads = keys.whole_number("attention.head_count_kv", heads)
    has_head_dim = f"{keys.arch}.attention.key_length" in keys.metadata.values
    head_dim = keys.whole_number("attention.key_length") if has_head_dim else hidden // heads
    valid = heads % kv_heads == 0 and head_dim > 0 and (has_head_dim or hidden % heads == 0)
    if keys.arch == "gpt2":
        valid = valid and kv_heads == heads and heads * head_dim == hidden
    else:
        valid = valid and head_dim % 2 == 0
    if not valid:
        raise UserError(
            f"{keys.metadata.path}: {keys.arch}.attention.head_count is {heads}, with head_count_kv {kv_heads} and "
            f"embedding_length {hidden}; allowed: a multiple of head_count_kv that makes whole, even heads"
        )
    return {
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
    }


def _require_known_keys(keys: _ArchitectureKeys, head_dim: int) -> None:
    """Checks that each key of the architecture is either read or has a value without an effect."""
    no_effect = dict(_NO_EFFECT) | {"attention.value_length": (head_dim,), "rope.dimension_count": (head_dim,)}
    if keys.arch in _WINDOW_PERIOD:
        no_effect |= {"attention.sliding_window_pattern": (_WINDOW_PERIOD[keys.arch],)}
    read = _READ | (_READ_IF_WINDOWED if keys.arch in _WINDOW_PERIOD else set())
    for key in keys.metadata.values:
        name = key.removeprefix(f"{keys.arch}.")
        if name != key and name not in read:
            _require(keys.metadata, key, no_effect.get(name, ("none: this key is not supported",)))


def _require(metadata: Metadata, key: str, allowed: tuple[Any, ...]) -> None:
    value = metadata.values[key]
    if isinstance(value, list | np.ndarray) or value not in allowed:
        raise UserError(f"{metadata.path}: {plain(key)} is {shown(value)}; allowed: {', '.join(map(str, allowed))}")


def _read_windows(keys: _ArchitectureKeys, sizes: Mapping[str, int], layers: int) -> JsonObject:
    """The further settings of Gemma 2 and 3; keys that Gemma 2's files lack have llama.cpp's defaults."""
    is_gemma2 = keys.arch == "gemma2"
    period, is_27b = _WINDOW_PERIOD[keys.arch], layers == _LAYERS_OF_27B[keys.arch]
    scalar = sizes["hidden_size"] // sizes["num_attention_heads"] if is_27b else sizes["head_dim"]
    settings = {
        "query_pre_attn_scalar": scalar,
        "attn_logit_softcapping": keys.number("attn_logit_softcapping", 50.0 if is_gemma2 else None),
        "final_logit_softcapping": keys.number("final_logit_softcapping", 30.0 if is_gemma2 else None),
        "sliding_window": keys.whole_number("attention.sliding_window", *((4096,) if is_gemma2 else ())),
    }
    if not is_gemma2:
        kinds = ["full_attention" if i % period == period - 1 else "sliding_attention" for i in range(layers)]
        settings |= {"rope_local_base_freq": 10000.0, "sliding_window_pattern": period, "layer_types": kinds}
    return settings


def llama3_rope_scaling(divisors: Array, config: Mapping[str, Any], source: str) -> JsonObject | None:
    """The `rope_scaling` of Llama 3.1 and later, recovered from the divisors of frequencies that a file stores.

    Args:
      divisors: the divisor of each rotary frequency of a head, `[head_dim / 2]`.
      config: the model's config.json.
      source: file and tensor, for error messages.

    Returns:
      The settings, or None if all divisors are 1.

    Raises:
      UserError: for divisors of other settings than Meta published: factor 8 (Llama 3.1) or 32 (Llama 3.2),
        low_freq_factor 1, high_freq_factor 4, 8192 original positions.
    """
    if np.all(divisors == 1):
        return None
    low, high, positions = 1.0, 4.0, 8192
    wavelengths = 2 * np.pi * config["rope_theta"] ** (np.arange(len(divisors)) / len(divisors))  # in positions
    unscaled = np.clip((positions / wavelengths - low) / (high - low), 0.0, 1.0)
    for factor in (8.0, 32.0):
        if np.allclose(divisors, 1 / ((1 - unscaled) / factor + unscaled), rtol=1e-3):
            return {
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low,
                "high_freq_factor": high,
                "original_max_position_embeddings": positions,
            }
    raise UserError(f"{source} is not a known rope scaling; allowed: Llama 3.1's, with the factor 8 or 32")
