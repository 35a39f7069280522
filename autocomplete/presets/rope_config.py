"""Rotary positions in a config.json of transformers, of every older and newer form."""

from collections.abc import Mapping, Sequence
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import above_zero, plain, shown

# The kinds of scaling that KerasHub's converter of a model type reads.
_KINDS: Mapping[str, Sequence[str]] = {"llama": ("llama3",), "gemma3_text": ("linear",)}
_LLAMA3 = ("low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
_NEWER, _OLDER = "rope_parameters", "rope_scaling"


def completed(config: Mapping[str, Any], made: Mapping[str, Any], place: str) -> dict[str, Any]:
    """`rope_theta` and `rope_scaling` (None where nothing is scaled), as KerasHub's converters read them.

    Args:
      config: config.json as it is.
      made: the same with transformers' defaults.
      place: the file, for messages.

    Raises:
      UserError: for what is no number, contradicts itself, or scales positions as no converter does.
    """
    kind, found = config["model_type"], {"rope_theta": made["rope_theta"]}
    newer, older = (_object(config.get(key), key, place) for key in (_NEWER, _OLDER))
    if kind == "gemma3_text" and "full_attention" in newer:  # one for each kind of layer
        near = _object(newer.get("sliding_attention"), f"{_NEWER}.sliding_attention", place)
        newer = _object(newer["full_attention"], f"{_NEWER}.full_attention", place)
        found["rope_local_base_freq"] = near.get("rope_theta", made["rope_local_base_freq"])
        if near.get("rope_type", "default") != "default":
            raise UserError(f"{place}: {_NEWER}.sliding_attention is {shown(near['rope_type'])}; allowed: default")
    if newer and older and _scaling(newer) != _scaling(older):
        raise UserError(f"{place}: {_NEWER} and {_OLDER} do not say the same; allowed: one of them")
    told = {**newer, **older}
    if "rope_theta" in told:
        found["rope_theta"] = told["rope_theta"]
        if config.get("rope_theta") not in (None, told["rope_theta"]):
            raise UserError(
                f"{place}: rope_theta is {shown(config['rope_theta'])}, and in {_OLDER if older else _NEWER} "
                f"{shown(told['rope_theta'])}; allowed: one value"
            )
    for key, value in found.items():
        above_zero(value, key, place)
    return found | {_OLDER: _scaled(told, kind, place, _OLDER if older else _NEWER), _NEWER: {}}


def _object(value: Any, key: str, place: str) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise UserError(f"{place}: {key} is {shown(value)}; allowed: null or an object with rope_type")
    return value or {}


def _scaling(told: Mapping[str, Any]) -> dict[str, Any]:
    """What is told but for the base, by the newer name of the kind."""
    rest = {key: value for key, value in told.items() if key not in ("type", "rope_type", "rope_theta")}
    return rest | {"rope_type": told.get("rope_type", told.get("type"))}


def _scaled(told: Mapping[str, Any], kind: str, place: str, name: str) -> dict[str, Any] | None:
    """The scaling that the key `name` asks for, None where nothing is scaled."""
    rope_type, known = told.get("rope_type", told.get("type", "default")), ("default", *_KINDS.get(kind, ()))
    part = told.get("partial_rotary_factor", 1.0)
    if part != 1.0:
        raise UserError(f"{place}: {name}.partial_rotary_factor is {shown(part)}; allowed: 1.0")
    if rope_type in (None, "default"):
        return None
    if rope_type not in known:
        said = plain(rope_type) if isinstance(rope_type, str) else shown(rope_type)
        raise UserError(
            f"{place}: {name}.rope_type is {said}; KerasHub's converter of {kind} knows: {', '.join(known)}"
        )
    kept = {key: told.get(key) for key in ("factor", *(_LLAMA3 if rope_type == "llama3" else ()))}
    numbers = {key: above_zero(value, f"{name}.{key}", place) for key, value in kept.items()}
    if rope_type == "llama3" and numbers["high_freq_factor"] <= numbers["low_freq_factor"]:
        raise UserError(
            f"{place}: {name}.high_freq_factor is {numbers['high_freq_factor']}; allowed: a number above "
            f"low_freq_factor ({numbers['low_freq_factor']})"
        )
    return {"rope_type": rope_type} | numbers
