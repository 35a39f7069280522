"""Hugging Face's tokenizer.json: completes it, loads it, and writes the files that apps read."""

import json
from collections.abc import Mapping
from typing import Any

import tokenizers

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject, one_line, shown
from autocomplete.tokenizer import pre_tokenizers, tokenizer_json_parts, tokenizer_rules
from autocomplete.tokenizer.tokenizer_json_parts import kind_name, require, steps_of

_BYTE_TOKEN = "<0x{:02X}>"
# Options of a BPE that are not implemented, and their values without an effect.
_NO_EFFECT = {"dropout": (None, 0, 0.0), "continuing_subword_prefix": (None, ""), "end_of_word_suffix": (None, "")}
_BYTE_LEVEL_DECODER = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def complete(content: Any, model_type: str, source: str) -> JsonObject:
    """A tokenizer.json with every key that `tokenizers` requires; missing keys get the values that transformers uses.

    Args:
      content: the tokenizer.json.
      model_type: the model type of config.json, or "".
      source: the file, for error messages.

    Raises:
      UserError: with file and key, for a missing key, a wrong type, or another kind of model than BPE.
    """
    model = _bpe_model(content, source)
    vocabulary, merges = tokenizer_json_parts.vocabulary(model, source), tokenizer_json_parts.merges(model, source)
    for key, allowed in _NO_EFFECT.items():
        require(model.get(key) in allowed, source, f"model.{key}", model.get(key), "null")
    added_tokens = tokenizer_json_parts.added_tokens(content, vocabulary, source)
    byte_level = "Ġ" in vocabulary or pre_tokenizers.SPACE_MARKER not in vocabulary
    normalizer, pre_tokenizer = _default_steps(content, model_type, byte_level, source)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens,
        "normalizer": content.get("normalizer", normalizer),
        "pre_tokenizer": content.get("pre_tokenizer", pre_tokenizer),
        "post_processor": tokenizer_json_parts.post_processor(content, source),
        "decoder": content.get("decoder") or (dict(_BYTE_LEVEL_DECODER) if byte_level else None),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": tokenizer_json_parts.unk_token(model, added_tokens, source),
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            **tokenizer_json_parts.bpe_flags(model, source),
            "vocab": vocabulary,
            "merges": merges,
        },
    }


def _bpe_model(content: Any, source: str) -> JsonObject:
    require(isinstance(content, dict), source, "the file", content, "a JSON object")
    model: JsonObject = content.get("model")
    require(isinstance(model, dict), source, "model", model, "an object")
    kind = model.get("type", "BPE" if "merges" in model else None)
    if kind != "BPE":
        raise UserError(f"{source}: model.type is {kind_name(kind)}; allowed: BPE, byte-level or with byte fallback")
    return model


def _default_steps(
    content: Mapping[str, Any], model_type: str, byte_level: bool, source: str
) -> tuple[JsonObject | None, JsonObject | None]:
    """The normalizer and the pre-tokenizer of a model type, for keys that tokenizer.json lacks."""
    pattern = pre_tokenizers.MODEL_TYPE_PATTERNS.get(model_type)
    if "pre_tokenizer" in content:
        return None, None
    if pattern is None or not byte_level:
        raise UserError(
            f"{source}: pre_tokenizer is missing; allowed: null or what splits texts into words; save it anew"
        )
    nfc = {"type": "NFC"} if pattern == pre_tokenizers.QWEN else None
    return nfc, pre_tokenizers.pre_tokenizer(pattern)


def byte_token(byte: int) -> str:
    """The token of a byte in a BPE of characters with byte fallback."""
    return _BYTE_TOKEN.format(byte)


def start_token_id(content: Mapping[str, Any], source: str) -> int | None:
    """The id that a complete tokenizer.json puts before a text; None if it adds none.

    Raises:
      UserError: if it adds several tokens, or one after the text.
    """
    ids = token_ids(content)
    steps = steps_of(content, "post_processor", "processors", source)
    start_ids = [tokenizer_json_parts.start_token_id(step, ids, source) for step in steps]
    added_ids = [token_id for token_id in start_ids if token_id is not None]
    if len(added_ids) > 1:
        raise UserError(
            f"{source}: post_processor puts the tokens {shown(added_ids)} before a text; allowed: one, or none"
        )
    return added_ids[0] if added_ids else None


def token_ids(content: Mapping[str, Any]) -> dict[str, int]:
    """The id of every token, added tokens included."""
    return dict(content["model"]["vocab"]) | {token["content"]: token["id"] for token in content["added_tokens"]}


def load(content: Mapping[str, Any], source: str = "tokenizer.json") -> tokenizers.Tokenizer:
    """The tokenizer of a complete tokenizer.json. It adds no start token, and no text becomes a special token."""
    bare = dict(content) | {"post_processor": None}
    tokenizer = parse(bare, source)
    if tokenizer.get_vocab() != token_ids(content):
        # `tokenizers` renumbers added tokens after a gap in the ids; it keeps the ids of the vocabulary
        tokenizer = parse(bare | {"model": dict(content["model"]) | {"vocab": token_ids(content)}}, source)
    tokenizer.encode_special_tokens = True
    return tokenizer


def parse(content: Mapping[str, Any], source: str) -> tokenizers.Tokenizer:
    """The tokenizer that `tokenizers` makes of a tokenizer.json as it is; raises UserError if it makes none."""
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # `tokenizers` raises plain Exception for every fault of the file
        raise UserError(f"{source} is not a valid tokenizer: {one_line(error, 200)}; save the tokenizer anew") from None


def serialize(content: Mapping[str, Any]) -> str:
    """The text of a tokenizer.json file."""
    return json.dumps(content, ensure_ascii=False) + "\n"


def for_clients(content: Mapping[str, Any]) -> JsonObject:
    """A tokenizer.json that never turns a text into a special token in an app either.

    Special tokens become ordinary entries of the vocabulary. The vocabulary lists the added tokens too, because
    `tokenizers` renumbers those that it lacks.
    """
    added_tokens = [token for token in content["added_tokens"] if not token["special"]]
    vocabulary = dict(sorted(token_ids(content).items(), key=lambda item: item[1]))
    model = dict(content["model"]) | {"vocab": vocabulary}
    return dict(content) | {"added_tokens": added_tokens, "post_processor": None, "model": model}


def client_files(content: Mapping[str, Any]) -> dict[str, bytes]:
    """The tokenizer files of an app: tokenizer.json, and for a byte-level BPE vocabulary.json and merges.txt too."""
    client = for_clients(content)
    files = {"tokenizer.json": serialize(client).encode()}
    if tokenizer_rules.read_rules(client, "tokenizer.json").byte_level:
        merges = "".join(f"{left} {right}\n" for left, right in client["model"]["merges"])
        files["vocabulary.json"] = json.dumps(client["model"]["vocab"], ensure_ascii=False).encode()
        files["merges.txt"] = f"#version: 0.2\n{merges}".encode()
    return files
