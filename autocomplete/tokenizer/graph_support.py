"""Which tokenizers a graph does exactly: why one is left out, and which words it takes whole."""

from collections.abc import Iterator, Mapping
from typing import Any

import tokenizers
from tokenizers import models, normalizers

from autocomplete.tokenizer import tokenizer_json
from autocomplete.tokenizer.pre_tokenizers import BLANK
from autocomplete.tokenizer.tokenizer_rules import Rules


def no_rule(content: Mapping[str, Any], rules: Rules) -> str | None:
    """Why a graph cannot do a completed tokenizer.json; None where it can."""
    return next(_reasons(content, rules), None)


def _reasons(content: Mapping[str, Any], rules: Rules) -> Iterator[str]:
    model, vocabulary = content["model"], content["model"]["vocab"]
    if rules.words is None:
        yield f"the pre_tokenizer is {rules.cut}, for which there is no rule"
    if not model["merges"]:
        yield "the BPE has no merges"
    if rules.flagged:
        yield f"the added token {rules.flagged[0]!r} is more than its bytes (lstrip, rstrip, single_word, normalized)"
    if rules.added and rules.prefix != "never":
        yield f'"{BLANK}" is put before each part between added tokens such as {rules.added[0]!r}'
    if not rules.byte_level and BLANK not in vocabulary:
        yield f'the vocabulary lacks "{BLANK}", which stands for a blank'
    if model["byte_fallback"] and any(tokenizer_json.byte_token(b) not in vocabulary for b in range(256)):
        yield "byte_fallback lacks the tokens of some bytes"
    if model["byte_fallback"] and rules.byte_level:
        yield "byte_fallback behind a byte-level pre_tokenizer"
    yield from _of_added_tokens(content, rules)
    yield from _of_whole_words(content, rules)


def _of_added_tokens(content: Mapping[str, Any], rules: Rules) -> Iterator[str]:
    """Added tokens that get in each other's way, or in the way of the text's own signs."""
    tokens, vocabulary = content["added_tokens"], content["model"]["vocab"]
    own = [t for t in tokens if not t["special"]]
    if len({t["normalized"] for t in own}) > 1:
        yield "added tokens are sought in the raw text and in the normalized one"
    changed = [t["content"] for t in own if rules.nfc and normalizers.NFC().normalize_str(t["content"]) != t["content"]]
    if changed:
        yield f"the added token {changed[0]!r} is not in the form NFC"
    for special in (t["content"] for t in tokens if t["special"]):
        crossed = next((t["content"] for t in own if _overlap(special, t["content"])), None)
        if crossed is not None:
            yield f"the special token {special!r} and the added token {crossed!r} may share signs of a text"
    signs = [t["content"] for t in tokens if len(t["content"]) == 1 and t["content"] not in vocabulary]
    if signs and not rules.byte_level:
        yield f"the added token {signs[0]!r} is a single character"


def _overlap(one: str, other: str) -> bool:
    """Whether one is part of the other, or begins as the other ends."""
    shared = any(a.endswith(b[:n]) for a, b in ((one, other), (other, one)) for n in range(1, min(len(a), len(b))))
    return shared or one in other or other in one


def _of_whole_words(content: Mapping[str, Any], rules: Rules) -> Iterator[str]:
    """What `ignore_merges` does beyond taking words whole."""
    if not content["model"]["ignore_merges"]:
        return
    if not rules.byte_level and not_merged(content):
        yield f"ignore_merges takes words whole that no merges make, such as {not_merged(content)[0]!r}"
    if content["model"]["unk_token"] is not None:
        yield "ignore_merges beside an unknown token"
    cut = tokenizer_json.load(content).pre_tokenizer
    special = [t["content"] for t in content["added_tokens"] if t["special"]]
    words = [name for name in special if cut is not None and len(cut.pre_tokenize_str(name)) == 1]
    if words:
        yield f"ignore_merges where the special token {words[0]!r} is a word"


def not_merged(content: Mapping[str, Any]) -> list[str]:
    """Tokens that a word may be although their own merges do not make them; all their signs are tokens."""
    model = content["model"]
    bare = tokenizers.Tokenizer(models.BPE(model["vocab"], [(a, b) for a, b in model["merges"]]))
    added = {t["content"] for t in content["added_tokens"]}
    tokens = [t for t in model["vocab"] if t not in added]
    made = bare.encode_batch(tokens)
    return [t for t, found in zip(tokens, made, strict=True) if found.ids != [model["vocab"][t]]]
