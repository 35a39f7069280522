"""Completes a config.json of transformers, and refuses what KerasHub's converter would not reproduce.

`source` names the file in error messages.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject, above_zero, plain, shown
from autocomplete.presets import rope_config
from autocomplete.presets.model_types import MODEL_TYPES, ModelType

_LARGEST_SIZE = 2**31 - 1
# Keys that may be null although their default is another value: null is kept, or derived like a missing key (heads).
_NULLABLE = (
    "sliding_window",
    "final_logit_softcapping",
    "attn_logit_softcapping",
    "num_key_value_heads",
    "head_dim",
    "tie_word_embeddings",
)
_DERIVE_KV_HEADS = ("llama", "mistral", "qwen2", "qwen3")
_DERIVE_HEAD_DIM = ("llama", "mistral", "qwen2")
_WINDOWED = ("gemma2", "gemma3_text")
_CAPS: Mapping[str, Sequence[str]] = {
    "gemma2": ("final_logit_softcapping", "attn_logit_softcapping"),
    "gemma3_text": ("final_logit_softcapping",),
}


def complete(config: Mapping[str, Any], source: str) -> JsonObject:
    """A config.json with every key that KerasHub's converter reads.

    Rotary positions are written as `rope_theta` and `rope_scaling`.

    Raises:
      UserError: with file and key, if the converted model would differ from the described one.
    """
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in MODEL_TYPES:
        raise UserError(f"{source} has the model_type {shown(kind)}; allowed: {', '.join(MODEL_TYPES)}")
    model_type = MODEL_TYPES[kind]
    completed = dict(model_type.defaults) | {
        key: value
        for key, value in config.items()
        if value is not None or key in _NULLABLE or key not in model_type.defaults
    }
    if kind != "gpt2":
        completed |= rope_config.complete(config, completed, source)
        _derive_head_sizes(completed, config)
    for key in model_type.sizes:
        _require_size(completed.get(key), key, source)
    _require_numbers(completed, source)
    _require_assumed(completed, model_type, source)
    _require_whole_heads(completed, source)
    if kind == "mistral" and "full_attention" in (config.get("layer_types") or ()):
        completed["sliding_window"] = None  # transformers takes the layer types for what holds
    return completed


def context_length(config: Mapping[str, Any]) -> int:
    """The number of positions of the model of a complete config.json."""
    return int(config["n_positions" if config["model_type"] == "gpt2" else "max_position_embeddings"])


def _derive_head_sizes(completed: JsonObject, config: Mapping[str, Any]) -> None:
    """Adds sizes of heads that transformers derives from others."""
    kind, hidden, heads = config["model_type"], completed.get("hidden_size"), completed.get("num_attention_heads")
    valid = type(hidden) is int and type(heads) is int and heads > 0
    if completed.get("head_dim") is None and kind in _DERIVE_HEAD_DIM and valid:
        completed["head_dim"] = int(hidden or 0) // int(heads or 1)
    if completed.get("num_key_value_heads") is None and kind in _DERIVE_KV_HEADS:
        completed["num_key_value_heads"] = heads


def _require_size(value: Any, key: str, source: str) -> None:
    if type(value) is not int or not 1 <= value <= _LARGEST_SIZE:
        raise UserError(f"{source}: {key} is {shown(value)}; allowed: a whole number of at least 1, and below 2**31")


def _require_numbers(config: Mapping[str, Any], source: str) -> None:
    """Checks the values other than sizes that converters read."""
    kind, tied = config["model_type"], config["tie_word_embeddings"]
    if type(tied) is not bool:
        raise UserError(f"{source}: tie_word_embeddings is {shown(tied)}; allowed: true or false")
    windowed = kind in _WINDOWED
    if windowed or (kind == "mistral" and config["sliding_window"] is not None):
        _require_size(config["sliding_window"], "sliding_window", source)
    caps = _CAPS.get(kind, ())
    keys = [key for key in caps if config[key] is not None] + (["rms_norm_eps"] if kind != "gpt2" else [])
    for key in keys:
        above_zero(config[key], key, source)


def _require_assumed(config: Mapping[str, Any], model_type: ModelType, source: str) -> None:
    """Checks that keys which the converter does not read have the values that it assumes."""
    kind, assumed = config["model_type"], dict(model_type.assumed)
    if kind == "gpt2":
        assumed["n_inner"] = [None, 4 * config["n_embd"]]
    if kind in ("llama", "qwen2"):
        assumed["head_dim"] = [config["hidden_size"] // config["num_attention_heads"]]
    if kind in _WINDOWED:
        assumed["query_pre_attn_scalar"] = [config["head_dim"]]
    if config.get("layer_types") is not None:
        _require_layer_types(config, model_type, source)
    for key, values in assumed.items():
        if key in config and config[key] not in values:
            value, allowed = config[key], ", ".join(map(str, values))
            text = plain(value) if isinstance(value, str) and isinstance(values[0], str) else shown(value)
            raise UserError(f"{source}: {key} is {text}; KerasHub's converter supports: {allowed}")


def _require_layer_types(config: Mapping[str, Any], model_type: ModelType, source: str) -> None:
    """Checks that `layer_types` lists the layer types that the converter makes."""
    kinds, count, allowed = config["layer_types"], config[model_type.layers_key], model_type.layer_types
    if not isinstance(kinds, list) or len(kinds) != count:
        raise UserError(
            f"{source}: layer_types is {shown(kinds)}; allowed: a list of {count}, the {model_type.layers_key}"
        )
    uniform = config["model_type"] == "mistral"  # all layers of one type, otherwise they alternate
    expected = [allowed] * count if uniform else [allowed[i % len(allowed) :][:1] for i in range(count)]
    wrong = next((i for i, k in enumerate(kinds) if k not in expected[i] or (uniform and k != kinds[0])), None)
    if wrong is not None:
        supported = (kinds[0],) if uniform and wrong else expected[wrong]
        raise UserError(
            f"{source}: layer_types has {shown(kinds[wrong])} at {wrong}; KerasHub's converter supports there: "
            f"{', '.join(supported)}"
        )
    if uniform and kinds[0] == "sliding_attention" and config["sliding_window"] is None:
        raise UserError(
            f"{source}: sliding_window is None; allowed with sliding_attention in layer_types: a whole number of at "
            "least 1"
        )


def _require_whole_heads(config: Mapping[str, Any], source: str) -> None:
    if config["model_type"] == "gpt2":
        if config["n_embd"] % config["n_head"]:
            raise UserError(
                f"{source}: n_embd is {config['n_embd']}; allowed: a multiple of n_head ({config['n_head']})"
            )
        return
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    if heads % kv_heads:
        raise UserError(
            f"{source}: num_attention_heads is {heads}; allowed: a multiple of num_key_value_heads ({kv_heads})"
        )
    if config["head_dim"] % 2:
        raise UserError(f"{source}: head_dim is {config['head_dim']}; allowed: an even number")
