"""Reads and validates parts of a tokenizer.json: vocabulary, merges, added tokens and post-processor.

`source` names the file in error messages, in this module and all others of this package.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject, one_line, plain, shown
from autocomplete.tokenizer import pre_tokenizers

_ADDED_TOKEN_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
_BPE_FLAGS = ("fuse_unk", "byte_fallback", "ignore_merges")


def require(condition: bool, source: str, key: str, value: Any, allowed: str) -> None:
    """Raises UserError, with file, key and value, unless a condition holds."""
    if not condition:
        raise UserError(f"{source}: {key} is {shown(value)}; allowed: {allowed}")


def vocabulary(model: Mapping[str, Any], source: str) -> dict[str, int]:
    """The id of each token in `model.vocab`."""
    ids = model.get("vocab")
    if not isinstance(ids, dict) or not ids:
        raise UserError(f"{source}: model.vocab is {shown(ids)}; allowed: an object of tokens and their ids")
    owners: dict[int, str] = {}
    for token, token_id in ids.items():
        is_id = type(token_id) is int and token_id >= 0
        if not is_id or owners.setdefault(token_id, token) != token:
            allowed = f"another id than that of {shown(owners[token_id])}" if is_id else "a whole number of at least 0"
            raise UserError(
                f"{source}: the id of {shown(token)} in model.vocab is {shown(token_id)}; allowed: {allowed}"
            )
    return ids


def merges(model: Mapping[str, Any], source: str) -> list[list[str]]:
    """`model.merges` as pairs of tokens; older files write a pair as one string."""
    entries, key = model.get("merges"), "model.merges"
    if not isinstance(entries, list):
        raise UserError(f"{source}: {key} is {shown(entries)}; allowed: a list of pairs of tokens")
    pairs = [entry.split(" ") if isinstance(entry, str) else entry for entry in entries]
    seen: set[tuple[str, ...]] = set()
    for index, pair in enumerate(pairs):
        allowed = _allowed_instead(pair, model["vocab"], seen)
        if allowed is not None:
            raise UserError(f"{source}: {key}[{index}] is {shown(entries[index])}; allowed: {allowed}")
        seen.add(tuple(pair))
    return pairs


def _allowed_instead(pair: Any, ids: Mapping[str, int], seen: set[tuple[str, ...]]) -> str | None:
    """What a faulty merge should be; None for a valid one."""
    if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) and part for part in pair)):
        return "two tokens"
    missing = next((token for token in (*pair, "".join(pair)) if token not in ids), None)
    if missing is not None:
        return f"tokens of model.vocab, which has no {shown(missing)}"
    return "each pair once" if tuple(pair) in seen else None


def bpe_flags(model: Mapping[str, Any], source: str) -> dict[str, bool]:
    """The boolean options of a BPE; a missing one is false."""
    flags = {name: model.get(name) for name in _BPE_FLAGS}
    for name, value in flags.items():
        require(value is None or type(value) is bool, source, f"model.{name}", value, "true or false")
    return {name: bool(value) for name, value in flags.items()}


def unk_token(model: Mapping[str, Any], added_tokens: Sequence[Mapping[str, Any]], source: str) -> str | None:
    """The token that replaces characters without a token; None if there is none."""
    token = model.get("unk_token")
    is_token = isinstance(token, str) and (
        token in model["vocab"] or any(token == added["content"] for added in added_tokens)
    )
    require(token is None or is_token, source, "model.unk_token", token, "null or a token of model.vocab")
    return token


def added_tokens(content: Mapping[str, Any], ids: Mapping[str, int], source: str) -> list[JsonObject]:
    """The added tokens, each with all its flags; a missing flag is false.

    Args:
      content: tokenizer.json.
      ids: the ids of `model.vocab`.
      source: the file, for error messages.
    """
    tokens = content.get("added_tokens")
    require(tokens is None or isinstance(tokens, list), source, "added_tokens", tokens, "a list")
    owners, seen = {token_id: token for token, token_id in ids.items()}, set()
    for token in tokens or []:
        valid = isinstance(token, dict) and isinstance(token.get("content"), str) and token["content"]
        valid = valid and type(token.get("id")) is int and token["id"] >= 0
        valid = valid and all(type(token.get(flag, False)) is bool for flag in _ADDED_TOKEN_FLAGS)
        allowed = "an object with id, content, and flags true or false"
        require(bool(valid), source, "one of added_tokens", token, allowed)
        name, token_id = token["content"], token["id"]
        consistent = ids.get(name, token_id) == token_id and owners.setdefault(token_id, name) == name
        key, allowed = f"the id of {shown(name)} in added_tokens", "its id in model.vocab, or a free one"
        require(consistent, source, key, token_id, allowed)
        require(name not in seen, source, "one of added_tokens", name, "each token once")
        seen.add(name)
    return [
        {"id": token["id"], "content": token["content"]} | {flag: token.get(flag, False) for flag in _ADDED_TOKEN_FLAGS}
        for token in tokens or []
    ]


def post_processor(content: Mapping[str, Any], source: str) -> Any:
    """The post-processor as it is; `tokenizers` never parses it, so here it is checked that it can be written."""
    part = content.get("post_processor")
    try:
        json.dumps(part, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise UserError(
            f"{source}: post_processor cannot be written in UTF-8 ({one_line(error, 80)}); save the tokenizer anew"
        ) from None
    return part


def start_token_id(step: Mapping[str, Any], ids: Mapping[str, int], source: str) -> int | None:
    """The id that a step of the post-processor puts before a text; None if it adds none.

    Args:
      step: a step of `post_processor`.
      ids: the ids of all tokens, added tokens included.
      source: the file, for error messages.
    """
    kind, template = step.get("type"), step.get("single")
    if kind == "ByteLevel":
        return None
    require(kind == "TemplateProcessing", source, "post_processor", kind, "null, ByteLevel or TemplateProcessing")
    valid = isinstance(template, list) and all(isinstance(entry, dict) and len(entry) == 1 for entry in template)
    pieces = [next(iter(entry.items())) for entry in template or []] if valid else []
    valid = valid and all(isinstance(piece, dict) and isinstance(piece.get("id"), str) for _, piece in pieces)
    allowed = "a list of Sequence and SpecialToken, each with an id"
    require(valid, source, "post_processor.single", template, allowed)
    kinds = [piece_kind for piece_kind, _ in pieces]
    if kinds not in (["Sequence"], ["SpecialToken", "Sequence"]):
        raise UserError(
            f"{source}: post_processor.single has {shown(kinds)}; allowed: no more than one SpecialToken before the "
            "Sequence, and none after it"
        )
    return None if len(pieces) == 1 else _template_token_id(step.get("special_tokens"), pieces[0][1]["id"], ids, source)


def _template_token_id(special_tokens: Any, name: str, ids: Mapping[str, int], source: str) -> int:
    """The id of a token in a template: by the template's own table, or by the vocabulary if the table lacks it."""
    entry = special_tokens.get(name) if isinstance(special_tokens, Mapping) else None
    token_ids = [ids.get(name)] if entry is None else entry.get("ids") if isinstance(entry, Mapping) else None
    if (
        isinstance(token_ids, list)
        and len(token_ids) == 1
        and type(token_ids[0]) is int
        and token_ids[0] in set(ids.values())
    ):
        return int(token_ids[0])
    raise UserError(
        f"{source}: post_processor.special_tokens has {shown(entry)} for {shown(name)}; allowed: an object with ids, "
        "the id of one token of the vocabulary"
    )


def steps_of(content: Mapping[str, Any], key: str, inner: str, source: str) -> list[Mapping[str, Any]]:
    """The steps of a part of tokenizer.json, with nested sequences unfolded.

    Args:
      content: tokenizer.json.
      key: the part.
      inner: the key under which a sequence of this part lists its steps.
      source: the file, for error messages.
    """
    try:
        steps = pre_tokenizers.flatten(content[key], inner)
        if all(isinstance(step, Mapping) for step in steps):
            return steps
    except (KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise UserError(
        f"{source}: {key} is {shown(content.get(key))}, which is not what `tokenizers` writes; save the tokenizer anew"
    )


def kind_name(kind: Any) -> str:
    """The type of a step, for error messages."""
    return plain(kind) if isinstance(kind, str) else shown(kind)
