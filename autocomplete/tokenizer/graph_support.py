"""Decides which tokenizers the TensorFlow graph reproduces exactly, and which tokens it must take as whole words."""

from collections.abc import Iterator, Mapping
from typing import Any

from tokenizers import normalizers

from autocomplete.tokenizer import tokenizer_json, unreachable_tokens
from autocomplete.tokenizer.pre_tokenizers import SPACE_MARKER
from autocomplete.tokenizer.tokenizer_rules import Rules


def unsupported_reason(content: Mapping[str, Any], rules: Rules) -> str | None:
    """Why the graph cannot reproduce a complete tokenizer.json; None if it can."""
    return next(_reasons(content, rules), None)


def _reasons(content: Mapping[str, Any], rules: Rules) -> Iterator[str]:
    model, vocabulary = content["model"], content["model"]["vocab"]
    if rules.pattern is None:
        yield f"the pre_tokenizer is {rules.pre_tokenizer}, for which there is no rule"
    if not model["merges"]:
        yield "the BPE has no merges"
    if rules.flagged_tokens:
        flags = "lstrip, rstrip, single_word, normalized"
        yield f"the added token {rules.flagged_tokens[0]!r} matches more than its bytes ({flags})"
    if rules.added_tokens and rules.space_prefix != "never":
        yield f'"{SPACE_MARKER}" is put before each part between added tokens such as {rules.added_tokens[0]!r}'
    if not rules.byte_level and SPACE_MARKER not in vocabulary:
        yield f'the vocabulary lacks "{SPACE_MARKER}", which stands for a space'
    if model["byte_fallback"] and any(tokenizer_json.byte_token(b) not in vocabulary for b in range(256)):
        yield "byte_fallback lacks the tokens of some bytes"
    if model["byte_fallback"] and rules.byte_level:
        yield "byte_fallback is combined with a byte-level pre_tokenizer"
    yield from _added_token_reasons(content, rules)
    yield from _whole_word_reasons(content, rules)


def _added_token_reasons(content: Mapping[str, Any], rules: Rules) -> Iterator[str]:
    """Conflicts of added tokens with each other, and with the characters of a text."""
    tokens, vocabulary = content["added_tokens"], content["model"]["vocab"]
    added = [token for token in tokens if not token["special"]]
    if len({token["normalized"] for token in added}) > 1:
        yield "some added tokens match in the raw text and others in the normalized text"
    names = [token["content"] for token in added]
    denormalized = [name for name in names if rules.nfc and normalizers.NFC().normalize_str(name) != name]
    if denormalized:
        yield f"the added token {denormalized[0]!r} is not in the form NFC"
    characters = [t["content"] for t in tokens if len(t["content"]) == 1 and t["content"] not in vocabulary]
    if characters and not rules.byte_level:
        yield f"the added token {characters[0]!r} is a single character"


def _whole_word_reasons(content: Mapping[str, Any], rules: Rules) -> Iterator[str]:
    """Effects of `ignore_merges` other than taking words whole."""
    if not content["model"]["ignore_merges"]:
        return
    if not rules.byte_level and (unmerged := unmerged_tokens(content)):
        yield f"ignore_merges takes words whole that no merges make, such as {unmerged[0]!r}"
    if content["model"]["unk_token"] is not None:
        yield "ignore_merges is combined with an unknown token"
    pre_tokenizer = tokenizer_json.load(content).pre_tokenizer
    special = [token["content"] for token in content["added_tokens"] if token["special"]]
    words = [n for n in special if pre_tokenizer is not None and len(pre_tokenizer.pre_tokenize_str(n)) == 1]
    if words:
        yield f"ignore_merges applies, and the special token {words[0]!r} is a word"


def unmerged_tokens(content: Mapping[str, Any]) -> list[str]:
    """The tokens of the vocabulary that their own merges do not produce; with `ignore_merges` a word may be one."""
    vocabulary, added = content["model"]["vocab"], {token["content"] for token in content["added_tokens"]}
    tokens = [token for token in vocabulary if token not in added]
    merged = unreachable_tokens.merge_alone(content, tokens)
    return [token for token, ids in zip(tokens, merged, strict=True) if ids != [vocabulary[token]]]
