"""The start, end and padding tokens of a model in Hugging Face's format.

Arguments of all functions:
  tokenizer: a complete tokenizer.json.
  settings: tokenizer_config.json.
  source: the folder, for error messages.
"""

from collections.abc import Mapping
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import shown
from autocomplete.tokenizer import tokenizer_json

# If no file names an end token, special tokens with these names end a text, as in llama.cpp.
END_TOKEN_NAMES = (
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


def start_token_id(
    tokenizer: Mapping[str, Any], settings: Mapping[str, Any], source: str, *, by_settings: bool = False
) -> int | None:
    """The id that stands before every text; None if the tokenizer adds none.

    The post-processor of tokenizer.json decides alone, as in transformers 5. A folder with older tokenizer files has
    none; there tokenizer_config.json decides by `add_bos_token`.

    Args:
      tokenizer: a complete tokenizer.json.
      settings: tokenizer_config.json.
      source: the folder, for error messages.
      by_settings: whether the folder has no tokenizer.json.
    """
    by_post_processor = tokenizer_json.start_token_id(tokenizer, f"{source}/tokenizer.json")
    flags = {key: settings.get(key) for key in ("add_bos_token", "add_eos_token")}
    for key, value in flags.items():
        if value is not None and type(value) is not bool:
            raise UserError(f"{source}/{_SETTINGS}: {key} is {shown(value)}; allowed: true, false or null")
    bos = _token_id(tokenizer, settings, "bos_token", source)
    if not by_settings:
        return by_post_processor
    if flags["add_eos_token"]:
        raise UserError(f"{source}/{_SETTINGS}: add_eos_token is True; allowed: false, as a text is to be continued")
    if tokenizer["post_processor"] is not None:  # made of tokenizer.model, which names its start token
        return by_post_processor
    return bos if flags["add_bos_token"] else None


def end_token_ids(
    tokenizer: Mapping[str, Any], settings: Mapping[str, Any], configs: Mapping[str, Mapping[str, Any]], source: str
) -> tuple[int, ...]:
    """The ids that end a text, the tokenizer's own first.

    Args:
      tokenizer: a complete tokenizer.json.
      settings: tokenizer_config.json.
      configs: generation_config.json and config.json by their names.
      source: the folder, for error messages.

    Raises:
      UserError: if there is none, or a named token does not exist.
    """
    ids = tokenizer_json.token_ids(tokenizer)
    valid_ids = set(ids.values())
    eos = _token_id(tokenizer, settings, "eos_token", source)
    end_ids = [] if eos is None else [eos]
    for file, config in configs.items():
        value = config.get("eos_token_id")
        listed = value if isinstance(value, list) else [] if value is None else [value]
        if not all(type(token_id) is int for token_id in listed):
            raise UserError(f"{source}/{file}: eos_token_id is {shown(value)}; allowed: null, an id or a list of ids")
        # a model's configuration may still list ids of a tokenizer that it no longer has
        end_ids += [token_id for token_id in listed if token_id in valid_ids]
    if not end_ids:
        special = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}
        end_ids = [ids[name] for name in END_TOKEN_NAMES if name in special]
    if not end_ids:
        raise UserError(
            f"{source} names no token that ends a text; give tokenizer_config.json an eos_token, or "
            "generation_config.json an eos_token_id"
        )
    return tuple(dict.fromkeys(end_ids))


def pad_token_id(tokenizer: Mapping[str, Any], settings: Mapping[str, Any], source: str) -> int | None:
    """The id of the padding token; None if there is none."""
    return _token_id(tokenizer, settings, "pad_token", source)


def _token_id(tokenizer: Mapping[str, Any], settings: Mapping[str, Any], key: str, source: str) -> int | None:
    """The id of a token that tokenizer_config.json names: by a string, an object with `content`, or null."""
    token = settings.get(key)
    if token is None:
        return None
    name = token.get("content") if isinstance(token, Mapping) else token
    ids = tokenizer_json.token_ids(tokenizer)
    if not isinstance(name, str) or name not in ids:
        raise UserError(f"{source}/{_SETTINGS}: {key} is {shown(token)}; allowed: null or a token of tokenizer.json")
    return ids[name]
