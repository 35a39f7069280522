"""What a tokenizer.json does to a text; what cannot be done exactly is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.tokenizer import pre_tokenizers
from autocomplete.tokenizer.pre_tokenizers import BLANK
from autocomplete.tokenizer.tokenizer_json_parts import kind_name, steps_of


@dataclass(frozen=True)
class Rules:
    """What a tokenizer.json does to a text.

    `words` names the row of patterns.py, or SENTENCEPIECE, None where there is no row for it (`cut` describes it).
    `prefix` says when "▁" is put before a text: "always", "missing" (unless one is there) or "never".
    `added` are the tokens that stand for themselves wherever a text has them, in the normalized text where `late`, and
    `special` those that are nobody's text.
    """

    byte_level: bool
    words: str | None
    cut: str
    nfc: bool
    prefix: str
    added: tuple[str, ...]
    late: bool
    special: frozenset[str]
    flagged: tuple[str, ...]


def rules(content: Mapping[str, Any], place: str) -> Rules:
    """What a completed tokenizer.json does; raises UserError, naming the key, for what cannot be done."""
    normalizers, prefix = steps_of(content, "normalizer", "normalizers", place), "never"
    steps = steps_of(content, "pre_tokenizer", "pretokenizers", place)
    byte_level = any(step.get("type") == "ByteLevel" for step in steps)
    nfc, blanks = False, False
    for step in normalizers:
        kind = step.get("type")
        if kind == "NFC" and byte_level:
            nfc = True
        elif kind == "Prepend" and step.get("prepend") == BLANK and not blanks and prefix == "never":
            prefix = "always"
        elif kind == "Replace" and step.get("pattern") == {"String": " "} and step.get("content") == BLANK:
            blanks = True
        else:
            raise UserError(
                f"{place}: normalizer {kind_name(kind)} is none that can be done; allowed: NFC before a byte-level "
                f'pre_tokenizer, or Prepend "{BLANK}" and Replace " " by "{BLANK}" before a BPE of characters'
            )
    added = [token for token in content["added_tokens"] if not token["special"]]
    special = {token["content"] for token in content["added_tokens"] if token["special"]}
    flagged = tuple(t["content"] for t in added if _is_flagged(t, byte_level))
    late = any(t["normalized"] for t in added)  # sought in the normalized text; graph_support refuses a mixture
    told = tuple(t["content"] for t in added), late, frozenset(special | _unsaid(content)), flagged
    if byte_level:
        if blanks or prefix != "never":
            raise UserError(
                f'{place}: a byte-level pre_tokenizer behind a normalizer that writes "{BLANK}"; allowed: NFC'
            )
        return Rules(True, pre_tokenizers.name_of(steps), pre_tokenizers.described(steps), nfc, "never", *told)
    words, prefix = _sentencepiece(steps, blanks, prefix, place)
    return Rules(False, words, pre_tokenizers.described(steps), False, prefix, *told)


def _is_flagged(token: Mapping[str, Any], byte_level: bool) -> bool:
    """Whether an added token is more than its own bytes in a text."""
    rewritten = token["normalized"] and not byte_level and (BLANK in token["content"] or " " in token["content"])
    return bool(token["single_word"] or token["lstrip"] or token["rstrip"] or rewritten)


def _sentencepiece(steps: Sequence[Mapping[str, Any]], blanks: bool, prefix: str, place: str) -> tuple[str | None, str]:
    """The row and the prefix of a BPE of characters in which "▁" stands for a blank."""
    if blanks and all(step.get("type") == "Split" and step.get("pattern") == {"String": " "} for step in steps):
        return pre_tokenizers.SENTENCEPIECE, prefix  # a blank that is replaced already cuts nothing
    alone = not blanks and prefix == "never" and len(steps) == 1
    if alone and steps[0].get("type") == "Metaspace" and steps[0].get("replacement") == BLANK:
        scheme = steps[0].get("prepend_scheme", "always" if steps[0].get("add_prefix_space", True) else "never")
        split = steps[0].get("split", True)
        return (
            pre_tokenizers.METASPACE if split else pre_tokenizers.SENTENCEPIECE,
            "never" if scheme == "never" else "missing",
        )
    cut = " ".join(pre_tokenizers.described(steps).split())
    raise UserError(
        f'{place}: pre_tokenizer is {cut}; allowed: one that ends in ByteLevel, Metaspace with "{BLANK}", or none '
        f'behind a normalizer that replaces " " by "{BLANK}"'
    )


def _unsaid(content: Mapping[str, Any]) -> set[str]:
    """Tokens of a vocabulary that no text becomes and that stand for none: the unknown token."""
    unknown = content["model"]["unk_token"]
    return {unknown} if unknown is not None else set()
