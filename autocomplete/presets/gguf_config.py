"""The config.json that transformers would have for the model of a GGUF file, and the shapes that its weights have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.presets.gguf_file import Metadata, shown

# transformers' classes by general.architecture
CLASSES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gpt2": "GPT2LMHeadModel",
    "gemma": "GemmaForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3": "Gemma3ForCausalLM",
}
_GENERAL: Mapping[str, tuple[Any, ...]] = {
    "general.architecture": tuple(CLASSES),
    "general.type": ("model",),
    "general.quantization_version": (2,),
    "split.count": (0, 1),
    "adapter.type": (),
}
# Keys of an architecture that are read, or change nothing.
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
# Keys of an architecture that are not read, and the values with which nothing is done.
_GRANTED: Mapping[str, tuple[Any, ...]] = {
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
_PERIOD = {"gemma2": 2, "gemma3": 6}  # layers, of which the last sees everything; llama.cpp's set_swa_pattern
_LAYERS_OF_27B = {"gemma2": 46, "gemma3": 62}  # llama.cpp's LLM_TYPE_27B


@dataclass(frozen=True)
class _Keys:
    """The keys of a file's architecture."""

    metadata: Metadata
    arch: str

    def number(self, key: str, *default: int) -> int:
        return int(self.metadata.above_zero(f"{self.arch}.{key}", int, *default))

    def real(self, key: str, *default: float | None) -> Any:
        return self.metadata.above_zero(f"{self.arch}.{key}", float, *default)


def architecture(metadata: Metadata) -> str:
    """The `general.architecture` of a file that holds a whole model; raises UserError for any but those of CLASSES."""
    metadata.get("general.architecture", str)
    for key, allowed in _GENERAL.items():
        if key in metadata.values:
            _require(metadata, key, allowed or ("none: not an adapter, but a model",))
    return str(metadata.values["general.architecture"])


def config_of(metadata: Metadata, rows: int, tied: bool, most: int) -> dict[str, Any]:
    """config.json's content of a model with `rows` embeddings, with `tied` its head too, and at most `most` layers.

    Raises:
      UserError: naming file and key, for what is missing or of a wrong type, for keys of the architecture that are not
        known, and for values with which the model would do what is not done here.
    """
    arch = architecture(metadata)
    keys = _Keys(metadata, arch)
    sizes = _heads(keys)
    _check_keys(keys, sizes["head_dim"])
    made = {
        "model_type": "gemma3_text" if arch == "gemma3" else arch,
        "architectures": [CLASSES[arch]],
        "vocab_size": rows,
        "tie_word_embeddings": tied,
    }
    layers = keys.number("block_count")
    if layers > most:  # before anything is made for each layer
        raise UserError(f"{metadata.path}: {arch}.block_count is {layers}; allowed: at most {most}, its tensors")
    inner, context = keys.number("feed_forward_length"), keys.number("context_length")
    if arch == "gpt2":
        return made | {
            "n_layer": layers,
            "n_head": sizes["num_attention_heads"],
            "n_embd": sizes["hidden_size"],
            "n_inner": inner,
            "n_positions": context,
            "layer_norm_epsilon": keys.real("attention.layer_norm_epsilon"),
            "activation_function": "gelu_new",
            "resid_pdrop": 0.0,
        }
    made |= sizes | {
        "num_hidden_layers": layers,
        "intermediate_size": inner,
        "max_position_embeddings": context,
        "rms_norm_eps": keys.real("attention.layer_norm_rms_epsilon"),
        "attention_bias": False,
        "mlp_bias": False,
        "rope_theta": keys.real("rope.freq_base", 10000.0),
        "rope_scaling": None,
        "hidden_act": "silu",
        "use_sliding_window": False,
        "sliding_window": None,
    }
    if arch.startswith("gemma"):
        made |= {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"}
    return made | _windowed(keys, made) if arch in _PERIOD else made


def _heads(keys: _Keys) -> dict[str, int]:
    """The width of the model, its heads and theirs."""
    hidden, heads = keys.number("embedding_length"), keys.number("attention.head_count")
    kv_heads = keys.number("attention.head_count_kv", heads)
    told = f"{keys.arch}.attention.key_length" in keys.metadata.values
    head_dim = keys.number("attention.key_length") if told else hidden // heads
    fits = heads % kv_heads == 0 and head_dim > 0 and (told or hidden % heads == 0)
    fits = fits and (kv_heads == heads and heads * head_dim == hidden if keys.arch == "gpt2" else head_dim % 2 == 0)
    if not fits:
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


def _check_keys(keys: _Keys, head_dim: int) -> None:
    """Every key of the architecture is known, and where it is not read has a value that does nothing."""
    granted = dict(_GRANTED) | {"attention.value_length": (head_dim,), "rope.dimension_count": (head_dim,)}
    if keys.arch in _PERIOD:
        granted |= {"attention.sliding_window_pattern": (_PERIOD[keys.arch],)}
    known = _READ | (_READ_IF_WINDOWED if keys.arch in _PERIOD else set())
    for key in keys.metadata.values:
        own = key.removeprefix(f"{keys.arch}.")
        if own != key and own not in known:
            _require(keys.metadata, key, granted.get(own, ("none: it is not known here",)))


def _require(metadata: Metadata, key: str, allowed: tuple[Any, ...]) -> None:
    found = metadata.values[key]
    if isinstance(found, list | np.ndarray) or found not in allowed:
        raise UserError(f"{metadata.path}: {key} is {shown(found)}; allowed: {', '.join(map(str, allowed))}")


def _windowed(keys: _Keys, made: Mapping[str, Any]) -> dict[str, Any]:
    """What Gemma 2 and 3 have more; where Gemma 2's files leave it out, the values of llama.cpp."""
    first = keys.arch == "gemma2"
    layers, period = made["num_hidden_layers"], _PERIOD[keys.arch]
    exact = layers == _LAYERS_OF_27B[keys.arch]
    more = {
        "query_pre_attn_scalar": made["hidden_size"] // made["num_attention_heads"] if exact else made["head_dim"],
        "attn_logit_softcapping": keys.real("attn_logit_softcapping", 50.0 if first else None),
        "final_logit_softcapping": keys.real("final_logit_softcapping", 30.0 if first else None),
        "sliding_window": keys.number("attention.sliding_window", *((4096,) if first else ())),
    }
    if not first:
        kinds = ["full_attention" if i % period == period - 1 else "sliding_attention" for i in range(layers)]
        more |= {"rope_local_base_freq": 10000.0, "sliding_window_pattern": period, "layer_types": kinds}
    return more


def rope_scaling(divisors: Array, made: Mapping[str, Any], place: str) -> dict[str, Any] | None:
    """The `rope_scaling` of which Llama 3.1 and later come as divisors of frequencies, one for each pair of a head.

    Raises:
      UserError: for divisors of other settings than Meta published: factor 8 (Llama 3.1) and 32 (3.2), frequencies low
        1 and high 4, 8192 positions.
    """
    if np.all(divisors == 1):
        return None
    low, high, positions = 1.0, 4.0, 8192
    waves = 2 * np.pi * made["rope_theta"] ** (np.arange(len(divisors)) / len(divisors))  # in positions
    share = np.clip((positions / waves - low) / (high - low), 0.0, 1.0)
    for factor in (8.0, 32.0):
        if np.allclose(divisors, 1 / ((1 - share) / factor + share), rtol=1e-3):
            return {
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low,
                "high_freq_factor": high,
                "original_max_position_embeddings": positions,
            }
    raise UserError(f"{place} is no rope scaling that is known; allowed: Llama 3.1's, with the factor 8 or 32")
