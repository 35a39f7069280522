"""Which tokens begin and end a text: what Hugging Face's files say of that."""

from collections.abc import Mapping
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import shown
from autocomplete.tokenizer import tokenizer_json

# Where no file names an end: special tokens of these names end a text, as llama.cpp takes them to.
END_NAMES = (
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<end_of_turn>",
    "</s>",
    "<eos>",
    "<EOT>",
    "<|END_OF_TURN_TOKEN|>",
)
_SETTINGS = "tokenizer_config.json"


def start_of(tokenizer: Mapping[str, Any], settings: Mapping[str, Any], place: str) -> int | None:
    """The id that stands before every text, None where the tokenizer adds none.

    Args:
      tokenizer: a completed tokenizer.json.
      settings: tokenizer_config.json, which says so where tokenizer.json has no post_processor.
      place: the folder, for messages.
    """
    found = tokenizer_json.start_token_id(tokenizer, f"{place}/tokenizer.json")
    asked = {key: settings.get(key) for key in ("add_bos_token", "add_eos_token")}
    for key, value in asked.items():
        if value is not None and type(value) is not bool:
            raise UserError(f"{place}/{_SETTINGS}: {key} is {shown(value)}; allowed: true, false or null")
    bos = _named(tokenizer, settings, "bos_token", place)
    if found is not None or tokenizer["post_processor"] is not None:
        return found
    if asked["add_eos_token"]:
        raise UserError(f"{place}/{_SETTINGS}: add_eos_token is True; allowed: false, as a text is to be continued")
    return bos if asked["add_bos_token"] else None


def ends_of(
    tokenizer: Mapping[str, Any], settings: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]], place: str
) -> tuple[int, ...]:
    """The ids that end a text, the tokenizer's own first; `others` are generation_config.json and config.json by name.

    Raises:
      UserError: where there is none, or one is no token.
    """
    known = tokenizer_json.token_ids(tokenizer)
    there = set(known.values())
    own = _named(tokenizer, settings, "eos_token", place)
    found = [] if own is None else [own]
    for file, content in others.items():
        told = content.get("eos_token_id")
        ids = told if isinstance(told, list) else [] if told is None else [told]
        if not all(type(i) is int for i in ids):
            raise UserError(f"{place}/{file}: eos_token_id is {shown(told)}; allowed: null, an id or a list of ids")
        # configurations of a model keep ids of a tokenizer that it no longer has
        found += [i for i in ids if i in there]
    if not found:
        special = {t["content"] for t in tokenizer["added_tokens"] if t["special"]}
        found = [known[name] for name in END_NAMES if name in special]
    if not found:
        raise UserError(
            f"{place} names no token that ends a text; give tokenizer_config.json an eos_token, or "
            "generation_config.json an eos_token_id"
        )
    return tuple(dict.fromkeys(found))


def padding_of(tokenizer: Mapping[str, Any], settings: Mapping[str, Any], place: str) -> int | None:
    """The id of the padding token, None where there is none."""
    return _named(tokenizer, settings, "pad_token", place)


def _named(tokenizer: Mapping[str, Any], settings: Mapping[str, Any], key: str, place: str) -> int | None:
    """The id of a token that tokenizer_config.json names, as a string, an object with `content`, or null."""
    told = settings.get(key)
    if told is None:
        return None
    name = told.get("content") if isinstance(told, Mapping) else told
    known = tokenizer_json.token_ids(tokenizer)
    if not isinstance(name, str) or name not in known:
        raise UserError(f"{place}/{_SETTINGS}: {key} is {shown(told)}; allowed: null or a token of tokenizer.json")
    return known[name]
