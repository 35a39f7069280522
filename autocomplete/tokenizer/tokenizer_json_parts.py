"""Parts of a tokenizer.json, checked: vocabulary, merges, added tokens, what is put before a text."""

from collections.abc import Mapping, Sequence
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import plain, shown
from autocomplete.tokenizer import pre_tokenizers

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
_BPE_FLAGS = ("fuse_unk", "byte_fallback", "ignore_merges")


def require(fine: bool, place: str, key: str, found: Any, allowed: str) -> None:
    """Raises UserError, naming file and key, for what is not fine."""
    if not fine:
        raise UserError(f"{place}: {key} is {shown(found)}; allowed: {allowed}")


def vocabulary(model: Mapping[str, Any], place: str) -> dict[str, int]:
    """Tokens and their ids."""
    found = model.get("vocab")
    if not isinstance(found, dict) or not found:
        raise UserError(f"{place}: model.vocab is {shown(found)}; allowed: an object of tokens and their ids")
    owners: dict[int, str] = {}
    for token, number in found.items():
        whole = type(number) is int and number >= 0
        if not whole or owners.setdefault(number, token) != token:
            allowed = f"not {shown(owners[number])}'s too" if whole else "a whole number of at least 0"
            raise UserError(f"{place}: the id of {shown(token)} in model.vocab is {shown(number)}; allowed: {allowed}")
    return found


def merges(model: Mapping[str, Any], place: str) -> list[list[str]]:
    """Merges as pairs; older files write them as strings."""
    found, key = model.get("merges"), "model.merges"
    if not isinstance(found, list):
        raise UserError(f"{place}: {key} is {shown(found)}; allowed: a list of pairs of tokens")
    pairs = [one.split(" ") if isinstance(one, str) else one for one in found]
    seen: set[tuple[str, ...]] = set()
    for number, pair in enumerate(pairs):
        allowed = _wrong_with(pair, model["vocab"], seen)
        if allowed is not None:
            raise UserError(f"{place}: {key}[{number}] is {shown(found[number])}; allowed: {allowed}")
        seen.add(tuple(pair))
    return pairs


def _wrong_with(pair: Any, ids: Mapping[str, int], seen: set[tuple[str, ...]]) -> str | None:
    """What a merge should be instead, None where it is right."""
    if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) and part for part in pair)):
        return "two tokens"
    unknown = next((token for token in (*pair, "".join(pair)) if token not in ids), None)
    if unknown is not None:
        return f"tokens of model.vocab, which has no {shown(unknown)}"
    return "each pair once" if tuple(pair) in seen else None


def bpe_flags(model: Mapping[str, Any], place: str) -> dict[str, bool]:
    """What a BPE may be told, off where it is left out."""
    found = {name: model.get(name) for name in _BPE_FLAGS}
    for name, value in found.items():
        require(value is None or type(value) is bool, place, f"model.{name}", value, "true or false")
    return {name: bool(value) for name, value in found.items()}


def unknown(model: Mapping[str, Any], added_tokens: Sequence[Mapping[str, Any]], place: str) -> str | None:
    """The token that stands for what has none."""
    found = model.get("unk_token")
    known = isinstance(found, str) and (found in model["vocab"] or any(found == t["content"] for t in added_tokens))
    require(found is None or known, place, "model.unk_token", found, "null or a token of model.vocab")
    return found


def added(content: Mapping[str, Any], ids: Mapping[str, int], place: str) -> list[dict[str, Any]]:
    """The added tokens, each with all its flags, which are off where they are left out; `ids` are the vocabulary's."""
    found = content.get("added_tokens")
    require(found is None or isinstance(found, list), place, "added_tokens", found, "a list")
    owners, seen = {number: token for token, number in ids.items()}, set()
    for token in found or []:
        fits = isinstance(token, dict) and isinstance(token.get("content"), str) and token["content"]
        fits = fits and type(token.get("id")) is int and token["id"] >= 0
        fits = fits and all(type(token.get(flag, False)) is bool for flag in _FLAGS)
        require(bool(fits), place, "one of added_tokens", token, "an object with id, content, and flags true or false")
        name, number = token["content"], token["id"]
        own = ids.get(name, number) == number and owners.setdefault(number, name) == name
        require(own, place, f"the id of {shown(name)} in added_tokens", number, "its id in model.vocab, or a free one")
        require(name not in seen, place, "one of added_tokens", name, "each token once")
        seen.add(name)
    return [
        {"id": t["id"], "content": t["content"]} | {flag: t.get(flag, False) for flag in _FLAGS} for t in found or []
    ]


def start(step: Mapping[str, Any], ids: Mapping[str, int], place: str) -> int | None:
    """The id that a step of post_processor puts before a text, None where it puts none; `ids` are all tokens'."""
    kind, parts = step.get("type"), step.get("single")
    if kind == "ByteLevel":
        return None
    require(kind == "TemplateProcessing", place, "post_processor", kind, "null, ByteLevel or TemplateProcessing")
    fits = isinstance(parts, list) and all(isinstance(p, dict) and len(p) == 1 for p in parts)
    pieces = [next(iter(part.items())) for part in parts or []] if fits else []
    fits = fits and all(isinstance(piece, dict) and isinstance(piece.get("id"), str) for _, piece in pieces)
    require(fits, place, "post_processor.single", parts, "a list of Sequence and SpecialToken, each with an id")
    kinds = [name for name, _ in pieces]
    if kinds not in (["Sequence"], ["SpecialToken", "Sequence"]):
        raise UserError(
            f"{place}: post_processor.single has {shown(kinds)}; allowed: no more than one SpecialToken before the "
            "Sequence, and none behind it"
        )
    return None if len(pieces) == 1 else _special(step.get("special_tokens"), pieces[0][1]["id"], ids, place)


def _special(told: Any, name: str, ids: Mapping[str, int], place: str) -> int:
    """The id of a template's token, which it says itself, or the vocabulary where it says nothing of the token."""
    entry = told.get(name) if isinstance(told, Mapping) else None
    found = [ids.get(name)] if entry is None else entry.get("ids") if isinstance(entry, Mapping) else None
    if isinstance(found, list) and len(found) == 1 and type(found[0]) is int and found[0] in set(ids.values()):
        return int(found[0])
    raise UserError(
        f"{place}: post_processor.special_tokens has {shown(entry)} for {shown(name)}; allowed: an object with ids, "
        "the id of one token of the vocabulary"
    )


def steps_of(content: Mapping[str, Any], key: str, inner: str, place: str) -> list[Mapping[str, Any]]:
    """The steps of a part of tokenizer.json."""
    try:
        found = pre_tokenizers.flat(content[key], inner)
        if all(isinstance(step, Mapping) for step in found):
            return found
    except (KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise UserError(
        f"{place}: {key} is {shown(content.get(key))}, which is not what `tokenizers` writes; save the tokenizer anew"
    )


def kind_name(kind: Any) -> str:
    """The type of a step in an error message."""
    return plain(kind) if isinstance(kind, str) else shown(kind)
