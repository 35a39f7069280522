"""tokenizer.json: what Hugging Face's tokenizers do to a text, read key by key; what is not done exactly is refused."""

import json
from collections.abc import Mapping
from typing import Any

import tokenizers

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import shown
from autocomplete.tokenizer import pre_tokenizers, tokenizer_json_parts, tokenizer_rules
from autocomplete.tokenizer.tokenizer_json_parts import kind_name, require, steps_of

_BYTE_FALLBACK = "<0x{:02X}>"
# What a BPE may be told beside its vocabulary, and the values that change nothing.
_PLAIN = {"dropout": (None, 0, 0.0), "continuing_subword_prefix": (None, ""), "end_of_word_suffix": (None, "")}


def completed(content: Any, model_type: str, place: str) -> dict[str, Any]:
    """A tokenizer.json with every key that `tokenizers` asks for; those left out as transformers fills them in.

    Raises:
      UserError: naming file and key, for what is missing, of a wrong type, or of another kind than BPE.
    """
    require(isinstance(content, dict), place, "the file", content, "a JSON object")
    model = content.get("model")
    require(isinstance(model, dict), place, "model", model, "an object")
    kind = model.get("type", "BPE" if "merges" in model else None)
    if kind != "BPE":
        raise UserError(f"{place}: model.type is {kind_name(kind)}; allowed: BPE, byte-level or with byte fallback")
    vocabulary, merges = tokenizer_json_parts.vocabulary(model, place), tokenizer_json_parts.merges(model, place)
    for key, allowed in _PLAIN.items():
        require(model.get(key) in allowed, place, f"model.{key}", model.get(key), "null")
    added = tokenizer_json_parts.added(content, vocabulary, place)
    made: dict[str, Any] = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added}
    family = pre_tokenizers.OF_MODEL_TYPES.get(model_type)
    byte_level = "Ġ" in vocabulary or pre_tokenizers.BLANK not in vocabulary
    if "pre_tokenizer" not in content and not (byte_level and family):
        raise UserError(f"{place}: pre_tokenizer is missing; allowed: null or what cuts texts into words; save it anew")
    nfc = {"type": "NFC"} if family == pre_tokenizers.QWEN and "pre_tokenizer" not in content else None
    made["normalizer"] = content.get("normalizer", nfc)
    default = None if family is None else pre_tokenizers.pre_tokenizer(family)
    made["pre_tokenizer"] = content.get("pre_tokenizer", default)
    made["post_processor"] = content.get("post_processor")
    made["decoder"] = content.get("decoder") or ({"type": "ByteLevel"} | _BYTES if byte_level else None)
    made["model"] = {
        "type": "BPE",
        "dropout": None,
        "unk_token": tokenizer_json_parts.unknown(model, added, place),
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        **tokenizer_json_parts.bpe_flags(model, place),
        "vocab": vocabulary,
        "merges": merges,
    }
    return made


_BYTES = {"add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def byte_token(byte: int) -> str:
    """The token of a byte where a BPE of characters falls back to bytes."""
    return _BYTE_FALLBACK.format(byte)


def start_of(content: Mapping[str, Any], place: str) -> int | None:
    """The id that a completed tokenizer.json puts before a text, None where it puts none.

    Raises:
      UserError: where it puts several, or something behind the text.
    """
    ids = ids_of(content)
    told = [tokenizer_json_parts.start(s, ids, place) for s in steps_of(content, "post_processor", "processors", place)]
    found = [one for one in told if one is not None]
    if len(found) > 1:
        raise UserError(f"{place}: post_processor puts the tokens {shown(found)} before a text; allowed: one, or none")
    return found[0] if found else None


def ids_of(content: Mapping[str, Any]) -> dict[str, int]:
    """Every token's id, those added to the vocabulary included."""
    return dict(content["model"]["vocab"]) | {t["content"]: t["id"] for t in content["added_tokens"]}


def load(content: Mapping[str, Any], place: str = "tokenizer.json") -> tokenizers.Tokenizer:
    """The tokenizer of a completed tokenizer.json; text never becomes a special token, and none is put before it."""
    bare = dict(content) | {"post_processor": None}
    made = _loaded(bare, place)
    if made.get_vocab() != ids_of(content):  # it numbers added tokens anew behind a hole; not those of the vocabulary
        made = _loaded(bare | {"model": dict(content["model"]) | {"vocab": ids_of(content)}}, place)
    made.encode_special_tokens = True
    return made


def opened(content: Mapping[str, Any], place: str) -> None:
    """Loads a completed tokenizer.json and looks that no text becomes one of its special tokens, here or in an app.

    Raises:
      UserError: where it cannot be loaded, or merges or whole words make a special token of a text.
    """
    load(content, place)
    ids, unknown = ids_of(content), content["model"]["unk_token"]
    app = _loaded(for_clients(content), place)
    special = [t["content"] for t in content["added_tokens"] if t["special"] and t["content"] != unknown]
    for name, found in zip(special, app.encode_batch(special), strict=True):
        if ids[name] in found.ids:
            raise UserError(
                f"{place}: a text becomes the special token {shown(name)}; allowed: special tokens that neither merges "
                "nor ignore_merges make of a text"
            )


def _loaded(content: Mapping[str, Any], place: str) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # whatever `tokenizers` raises is about the file
        raise UserError(
            f"{place} is no tokenizer: {' '.join(str(error).split())[:200]}; save the tokenizer anew"
        ) from None


def text(content: Mapping[str, Any]) -> str:
    """A tokenizer.json as it is written."""
    return json.dumps(content, ensure_ascii=False) + "\n"


def for_clients(content: Mapping[str, Any]) -> dict[str, Any]:
    """A tokenizer.json that also in an app never makes a special token of a text: those are plain entries there.

    The vocabulary has the added tokens too, as `tokenizers` numbers those anew that it does not find there.
    """
    others = [t for t in content["added_tokens"] if not t["special"]]
    vocabulary = dict(sorted(ids_of(content).items(), key=lambda item: item[1]))
    model = dict(content["model"]) | {"vocab": vocabulary}
    return dict(content) | {"added_tokens": others, "post_processor": None, "model": model}


def client_files(content: Mapping[str, Any]) -> dict[str, bytes]:
    """What an app reads of a completed tokenizer.json: itself, and of a byte-level BPE two simpler files."""
    given = for_clients(content)
    files = {"tokenizer.json": text(given).encode()}
    if tokenizer_rules.rules(given, "tokenizer.json").byte_level:
        merges = "".join(f"{left} {right}\n" for left, right in given["model"]["merges"])
        files["vocabulary.json"] = json.dumps(given["model"]["vocab"], ensure_ascii=False).encode()
        files["merges.txt"] = f"#version: 0.2\n{merges}".encode()
    return files
