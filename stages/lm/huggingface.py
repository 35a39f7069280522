"""Hugging Face's folders (config.json with a model_type, safetensors, tokenizer files), as KerasHub converts them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.errors import UserError
from stages.files import read_json

_INDEX, _WHOLE = "model.safetensors.index.json", "model.safetensors"
_SILU = {"hidden_act": ["silu"]}
_PLAIN_ROPE = {"rope_scaling": [None]}


@dataclass(frozen=True)
class Converter:
    """What KerasHub makes of a model_type: the backbone, of which tokenizer files, and what it takes for granted.

    `granted` has, for settings of config.json that the converter does not read, the values that the result has.
    """

    backbone: str
    tokenizer: Sequence[str]
    granted: Mapping[str, Sequence[Any]] = field(default_factory=dict)


CONVERTERS = {
    "gpt2": Converter(
        "GPT2Backbone", ("vocab.json", "merges.txt"),
        {
            "activation_function": ["gelu_new", "gelu_pytorch_tanh"], "layer_norm_epsilon": [1e-5],
            "scale_attn_weights": [True], "scale_attn_by_inverse_layer_idx": [False], "tie_word_embeddings": [True],
            "add_cross_attention": [False],
        },
    ),
    "llama": Converter(
        "Llama3Backbone", ("tokenizer.json", "tokenizer_config.json"),
        _SILU | {"attention_bias": [False], "mlp_bias": [False]},
    ),
    "mistral": Converter(
        "MistralBackbone", ("tokenizer.model",), _SILU | _PLAIN_ROPE | {"tie_word_embeddings": [False]}
    ),
    "qwen2": Converter("QwenBackbone", ("tokenizer.json",), _SILU | _PLAIN_ROPE | {"use_sliding_window": [False]}),
    "qwen3": Converter(
        "Qwen3Backbone", ("tokenizer.json",),
        _SILU | _PLAIN_ROPE | {"use_sliding_window": [False], "attention_bias": [False]},
    ),
}  # fmt: skip


def is_foreign(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is Hugging Face's, by KerasHub's own rule: a Keras object has a registered name."""
    return "registered_name" not in config and "model_type" in config


def check(folder: Path) -> None:
    """Raises UserError where a Hugging Face folder is not whole, or would become another model than it says."""
    config = read_json(folder / "config.json")
    kind = config["model_type"]
    if kind not in CONVERTERS:
        raise UserError(f"{folder} has the model_type {kind!r}; allowed: {', '.join(CONVERTERS)}")
    if not config.get("architectures"):
        raise UserError(f"{folder}/config.json names no architectures; a causal language model's folder does")
    if "quantization_config" in config:
        raise UserError(f"{folder} is quantized (quantization_config); author needs the weights it was made from")
    for name in CONVERTERS[kind].tokenizer:
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}, from which a {kind} gets its tokenizer: download it too")
    _check_shards(folder)
    _check_granted(folder, config)
    if kind == "llama" and read_json(folder / "tokenizer.json").get("model", {}).get("byte_fallback"):
        raise UserError(
            f"{folder} is a Llama with a SentencePiece tokenizer; KerasHub converts Llama 3's alone: take a preset"
        )


def _check_shards(folder: Path) -> None:
    """All weights are here, as safetensors."""
    if (folder / _INDEX).is_file():
        names = sorted({str(name) for name in read_json(folder / _INDEX).get("weight_map", {}).values()})
        missing = [name for name in names if not (folder / name).is_file()]
        if missing or not names:
            raise UserError(f"{folder} lacks {', '.join(missing) or 'shards'}, which {_INDEX} names; download it again")
    elif not (folder / _WHOLE).is_file():
        raise UserError(f"{folder} has neither {_WHOLE} nor {_INDEX}: author reads weights from safetensors alone")


def _check_granted(folder: Path, config: Mapping[str, Any]) -> None:
    """What the converter does not read is what it gives."""
    granted = dict(CONVERTERS[config["model_type"]].granted)
    if config["model_type"] == "gpt2":
        granted["n_inner"] = [None, 4 * config.get("n_embd", 0)]
    if config["model_type"] == "llama":
        granted["head_dim"] = [None, config.get("hidden_size", 0) // config.get("num_attention_heads", 1)]
    for key, values in granted.items():
        if key in config and config[key] not in values:
            allowed = ", ".join(str(v) for v in values)
            raise UserError(f"{folder}/config.json: {key} is {config[key]}; KerasHub's converter knows: {allowed}")
    kind = _rope(config).get("rope_type", "default")
    kinds = ["default", "llama3"] if config["model_type"] == "llama" else ["default"]
    if kind not in kinds:
        raise UserError(f"{folder}/config.json: rope_type is {kind}; KerasHub's converter knows: {', '.join(kinds)}")


def _rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """How positions turn: `rope_scaling`, or since transformers 5 `rope_parameters`."""
    return config.get("rope_scaling") or config.get("rope_parameters") or {}


def corrections(folder: Path) -> dict[str, Any]:
    """Arguments of the backbone that KerasHub 0.31's converter leaves at its own values."""
    config = read_json(folder / "config.json")
    if config["model_type"] != "llama":
        return {}
    found = {"layer_norm_epsilon": config["rms_norm_eps"]} if "rms_norm_eps" in config else {}
    rope = _rope(config)
    if rope.get("rope_type") == "llama3":
        found |= {
            "rope_frequency_adjustment_factor": rope["factor"],
            "rope_low_freq_factor": rope["low_freq_factor"],
            "rope_high_freq_factor": rope["high_freq_factor"],
            "rope_pretraining_sequence_length": rope["original_max_position_embeddings"],
        }
    return found


def longest(folder: Path) -> int | None:
    """How many positions a model was made for, where its config.json says so."""
    found = read_json(folder / "config.json").get("max_position_embeddings")
    return None if found is None else int(found)
