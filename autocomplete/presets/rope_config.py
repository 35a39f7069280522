"""Reads rotary position settings of a config.json of transformers, in its older and newer forms.

`source` names the file in error messages.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject, above_zero, plain, shown

# The types of scaling that KerasHub's converter of a model type reads.
_SCALING_TYPES: Mapping[str, Sequence[str]] = {"llama": ("llama3",), "gemma3_text": ("linear",)}
_LLAMA3_KEYS = ("low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
_NEWER, _OLDER = "rope_parameters", "rope_scaling"
_LAYER_TYPES = ("full_attention", "sliding_attention")


def complete(config: Mapping[str, Any], completed: Mapping[str, Any], source: str) -> JsonObject:
    """`rope_theta` and `rope_scaling` (None without scaling), in the form that KerasHub's converters read.

    Args:
      config: config.json.
      completed: the same with transformers' defaults.
      source: the file, for error messages.

    Raises:
      UserError: for a value that is not a number, for a contradiction, and for a scaling that no converter supports.
    """
    kind, settings = config["model_type"], {"rope_theta": completed["rope_theta"]}
    newer, older = (_object(config.get(key), key, source) for key in (_NEWER, _OLDER))
    _require_keys_that_count(newer, kind, _NEWER, source)
    _require_keys_that_count(older, "", _OLDER, source)
    if kind == "gemma3_text":  # an object for each layer type
        newer, near = (_object(newer.get(name), f"{_NEWER}.{name}", source) for name in _LAYER_TYPES)
        settings["rope_local_base_freq"] = near.get("rope_theta", completed["rope_local_base_freq"])
        _supported_scaling(near, "", f"{_NEWER}.sliding_attention", source)
    if newer and older and _contradict(newer, older, completed["rope_theta"]):
        raise UserError(f"{source}: {_NEWER} and {_OLDER} contradict each other; allowed: one of them")
    rope = {**newer, **older}
    key = _OLDER if older else f"{_NEWER}.full_attention" if kind == "gemma3_text" else _NEWER
    if "rope_theta" in rope:
        settings["rope_theta"] = rope["rope_theta"]
        if config.get("rope_theta") not in (None, rope["rope_theta"]):
            raise UserError(
                f"{source}: rope_theta is {shown(config['rope_theta'])}, and in {key} {shown(rope['rope_theta'])}; "
                "allowed: one value"
            )
    for name, value in settings.items():
        above_zero(value, name, source)
    return settings | {_OLDER: _supported_scaling(rope, kind, key, source), _NEWER: {}}


def _require_keys_that_count(rope: Mapping[str, Any], kind: str, key: str, source: str) -> None:
    """Refuses an object for each layer type where transformers wants one for all, and the other way round."""
    nested = kind == "gemma3_text"
    wrong = next((name for name in rope if (name in _LAYER_TYPES) != nested), None)
    if wrong is not None:
        allowed = f"{' and '.join(_LAYER_TYPES)}, each null or an object" if nested else "rope_type and its settings"
        raise UserError(f"{source}: {key} has the key {plain(wrong)}; allowed: {allowed}")


def _contradict(newer: Mapping[str, Any], older: Mapping[str, Any], theta: Any) -> bool:
    """Whether two settings differ; `theta` is the base frequency outside of both."""
    base = older.get("rope_theta", theta)
    return _scaling(newer) != _scaling(older) or newer.get("rope_theta", base) != base


def _object(value: Any, key: str, source: str) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise UserError(f"{source}: {key} is {shown(value)}; allowed: null or an object with rope_type")
    return value or {}


def _scaling(rope: Mapping[str, Any]) -> JsonObject:
    """All settings but the base frequency, with the type under its newer name."""
    others = {key: value for key, value in rope.items() if key not in ("type", "rope_type", "rope_theta")}
    return others | {"rope_type": rope.get("rope_type", rope.get("type"))}


def _supported_scaling(rope: Mapping[str, Any], kind: str, key: str, source: str) -> JsonObject | None:
    """The scaling that the key `key` of config.json asks for; None without scaling.

    Args:
      rope: the object under the key.
      kind: the model type; "" for settings that no converter reads.
      key: the key.
      source: the file, for error messages.
    """
    rope_type, supported = rope.get("rope_type", rope.get("type", "default")), _SCALING_TYPES.get(kind, ())
    partial = rope.get("partial_rotary_factor", 1.0)
    if partial != 1.0:
        raise UserError(f"{source}: {key}.partial_rotary_factor is {shown(partial)}; allowed: 1.0")
    if rope_type == "default":
        return None
    if rope_type not in supported:
        text = plain(rope_type) if isinstance(rope_type, str) else shown(rope_type)
        allowed = ", ".join(("default", *supported))
        supports = f"KerasHub's converter of {kind} supports" if kind else "allowed"
        raise UserError(f"{source}: {key}.rope_type is {text}; {supports}: {allowed}")
    names = ("factor", *(_LLAMA3_KEYS if rope_type == "llama3" else ()))
    numbers = {name: above_zero(rope.get(name), f"{key}.{name}", source) for name in names}
    if rope_type == "llama3" and numbers["high_freq_factor"] <= numbers["low_freq_factor"]:
        raise UserError(
            f"{source}: {key}.high_freq_factor is {numbers['high_freq_factor']}; allowed: a number above "
            f"low_freq_factor ({numbers['low_freq_factor']})"
        )
    return {"rope_type": rope_type} | numbers
