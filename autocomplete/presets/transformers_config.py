"""config.json of transformers: its defaults, and what KerasHub's converter of a model type takes for granted."""

from collections.abc import Mapping
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import above_zero, plain, shown
from autocomplete.presets import rope_config
from autocomplete.presets.model_types import MODEL_TYPES, ModelType

_MOST = 2**31 - 1  # of a size
# Keys that may be null and have another default: null is left as it is, or (heads) derived as where it is the default.
_NULLABLE = (
    "sliding_window",
    "final_logit_softcapping",
    "attn_logit_softcapping",
    "num_key_value_heads",
    "head_dim",
    "tie_word_embeddings",
)
_DERIVING = ("llama", "mistral", "qwen2", "qwen3")


def completed(config: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A config.json with every key that KerasHub's converter reads, positions as `rope_theta` and `rope_scaling`.

    Raises:
      UserError: naming file and key, where the model would become another one than it says.
    """
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in MODEL_TYPES:
        raise UserError(f"{place} has the model_type {shown(kind)}; allowed: {', '.join(MODEL_TYPES)}")
    known = MODEL_TYPES[kind]
    made = dict(known.defaults) | {
        key: value
        for key, value in config.items()
        if value is not None or key in _NULLABLE or key not in known.defaults
    }
    if kind.startswith("gemma") and "hidden_act" in config and "hidden_activation" not in config:
        made["hidden_activation"] = config["hidden_act"]
        if (kind, config["hidden_act"]) == ("gemma", "gelu"):  # so Gemma's first files name what transformers takes
            made["hidden_activation"] = "gelu_pytorch_tanh"
    if kind != "gpt2":
        made |= rope_config.completed(config, made, place)
        _fill_heads(made, config)
    for key in known.sizes:
        _check_size(made.get(key), key, place)
    _check_numbers(made, place)
    _check_granted(made, known, place)
    _check_heads(made, place)
    return made


def _check_size(value: Any, key: str, place: str) -> None:
    if type(value) is not int or not 1 <= value <= _MOST:
        raise UserError(f"{place}: {key} is {shown(value)}; allowed: a whole number of at least 1, and below 2**31")


def _check_numbers(made: Mapping[str, Any], place: str) -> None:
    """What converters read besides sizes."""
    kind, tied = made["model_type"], made["tie_word_embeddings"]
    if type(tied) is not bool:
        raise UserError(f"{place}: tie_word_embeddings is {shown(tied)}; allowed: true or false")
    windowed = kind in ("gemma2", "gemma3_text")
    if windowed or (kind == "mistral" and made["sliding_window"] is not None):
        _check_size(made["sliding_window"], "sliding_window", place)
    caps = ("final_logit_softcapping", "attn_logit_softcapping") if windowed else ()
    keys = [key for key in caps if made[key] is not None] + (["rms_norm_eps"] if kind != "gpt2" else [])
    for key in keys:
        above_zero(made[key], key, place)


def context_length(config: Mapping[str, Any]) -> int:
    """How many positions a completed config.json gives a model."""
    return int(config["n_positions" if config["model_type"] == "gpt2" else "max_position_embeddings"])


def _fill_heads(made: dict[str, Any], config: Mapping[str, Any]) -> None:
    """Head sizes that transformers derives from others."""
    kind, hidden, heads = config["model_type"], made.get("hidden_size"), made.get("num_attention_heads")
    fits = type(hidden) is int and type(heads) is int and heads > 0
    if made.get("head_dim") is None and kind in ("llama", "mistral", "qwen2") and fits:
        made["head_dim"] = int(hidden or 0) // int(heads or 1)
    if made.get("num_key_value_heads") is None and kind in _DERIVING:
        made["num_key_value_heads"] = heads


def _check_granted(config: Mapping[str, Any], known: ModelType, place: str) -> None:
    """What the converter does not read is what it gives."""
    granted = dict(known.granted)
    if config["model_type"] == "gpt2":
        granted["n_inner"] = [None, 4 * config["n_embd"]]
    if config["model_type"] in ("llama", "qwen2"):
        granted["head_dim"] = [config["hidden_size"] // config["num_attention_heads"]]
    if config["model_type"] in ("gemma2", "gemma3_text"):
        granted["query_pre_attn_scalar"] = [config["head_dim"]]
    if config.get("layer_types") is not None:
        _check_layers(config, known, place)
    for key, values in granted.items():
        if key in config and config[key] not in values:
            allowed, value = ", ".join(map(str, values)), config[key]
            said = plain(value) if isinstance(value, str) and isinstance(values[0], str) else shown(value)
            raise UserError(f"{place}: {key} is {said}; KerasHub's converter knows: {allowed}")


def _check_layers(config: Mapping[str, Any], known: ModelType, place: str) -> None:
    """`layer_types` says of each layer what the converter makes of it."""
    told, count = config["layer_types"], config["num_hidden_layers"]
    if not isinstance(told, list) or len(told) != count:
        raise UserError(f"{place}: layer_types is {shown(told)}; allowed: a list of {count}, the num_hidden_layers")
    alike = config["model_type"] == "mistral"  # all of one kind, or in turns
    wanted = [known.layers] * count if alike else [known.layers[i % len(known.layers) :][:1] for i in range(count)]
    wrong = next((i for i, kind in enumerate(told) if kind not in wanted[i] or (alike and kind != told[0])), None)
    if wrong is not None:
        kinds = (told[0],) if alike and wrong else wanted[wrong]
        raise UserError(
            f"{place}: layer_types has {shown(told[wrong])} at {wrong}; KerasHub's converter knows there: "
            f"{', '.join(kinds)}"
        )


def _check_heads(config: Mapping[str, Any], place: str) -> None:
    if config["model_type"] == "gpt2":
        if config["n_embd"] % config["n_head"]:
            raise UserError(
                f"{place}: n_embd is {config['n_embd']}; allowed: a multiple of n_head ({config['n_head']})"
            )
        return
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    if heads % groups:
        raise UserError(
            f"{place}: num_attention_heads is {heads}; allowed: a multiple of num_key_value_heads ({groups})"
        )
    if config["head_dim"] % 2:
        raise UserError(f"{place}: head_dim is {config['head_dim']}; allowed: an even number")
