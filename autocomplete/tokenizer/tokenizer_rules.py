"""What a tokenizer.json does to a text before its merges apply; whatever cannot be reproduced exactly is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.tokenizer import pre_tokenizers
from autocomplete.tokenizer.pre_tokenizers import SPACE_MARKER
from autocomplete.tokenizer.tokenizer_json_parts import kind_name, steps_of


@dataclass(frozen=True)
class Rules:
    """What a tokenizer.json does to a text.

    Attributes:
      byte_level: whether merges join bytes; otherwise they join characters.
      pattern: the name of the pre-tokenizer's pattern (pre_tokenizers.py); None if the pattern is unknown.
      pre_tokenizer: a short description of the pre-tokenizer.
      nfc: whether the text is normalized to Unicode's form NFC.
      space_prefix: when "▁" is put before a text: "always", "missing" (unless the text begins with one) or "never".
      added_tokens: tokens that match wherever a text contains them.
      match_normalized: whether added tokens are matched in the normalized text.
      special_tokens: tokens that no text becomes.
      flagged_tokens: added tokens whose flags make them match more or less than their own bytes.
    """

    byte_level: bool
    pattern: str | None
    pre_tokenizer: str
    nfc: bool
    space_prefix: str
    added_tokens: tuple[str, ...]
    match_normalized: bool
    special_tokens: frozenset[str]
    flagged_tokens: tuple[str, ...]


def read_rules(content: Mapping[str, Any], source: str) -> Rules:
    """The rules of a complete tokenizer.json.

    Raises:
      UserError: with the key, for what cannot be reproduced exactly.
    """
    normalizers = steps_of(content, "normalizer", "normalizers", source)
    steps = steps_of(content, "pre_tokenizer", "pretokenizers", source)
    byte_level = any(step.get("type") == "ByteLevel" for step in steps)
    nfc, replaces_spaces, space_prefix = _read_normalizers(normalizers, byte_level, source)
    pattern: str | None
    if not byte_level:
        pattern, space_prefix = _character_pattern(steps, replaces_spaces, space_prefix, source)
    elif replaces_spaces or space_prefix != "never":
        raise UserError(
            f'{source}: a byte-level pre_tokenizer after a normalizer that writes "{SPACE_MARKER}"; allowed: NFC'
        )
    else:
        pattern = pre_tokenizers.pattern_name(steps)
    added = [token for token in content["added_tokens"] if not token["special"]]
    special = {token["content"] for token in content["added_tokens"] if token["special"]}
    unk_token = content["model"]["unk_token"]  # no text becomes it, and it stands for none
    return Rules(
        byte_level,
        pattern,
        pre_tokenizers.describe(steps),
        nfc,
        space_prefix,
        tuple(token["content"] for token in added),
        any(token["normalized"] for token in added),  # graph_support refuses a mixture
        frozenset(special | ({unk_token} if unk_token is not None else set())),
        tuple(token["content"] for token in added if _is_flagged(token, byte_level)),
    )


def _read_normalizers(steps: Sequence[Mapping[str, Any]], byte_level: bool, source: str) -> tuple[bool, bool, str]:
    """Whether normalizers apply NFC, whether they replace spaces by "▁", and when they put one before a text."""
    nfc = replaces_spaces = prepends = False
    for step in steps:
        kind = step.get("type")
        if kind == "NFC" and byte_level:
            nfc = True
        elif kind == "Prepend" and step.get("prepend") == SPACE_MARKER and not (replaces_spaces or prepends):
            prepends = True
        elif kind == "Replace" and step.get("pattern") == {"String": " "} and step.get("content") == SPACE_MARKER:
            replaces_spaces = True
        else:
            raise UserError(
                f"{source}: normalizer {kind_name(kind)} is not supported; allowed: NFC before a byte-level "
                f'pre_tokenizer, or Prepend "{SPACE_MARKER}" and Replace " " by "{SPACE_MARKER}" before a BPE of '
                "characters"
            )
    return nfc, replaces_spaces, "always" if prepends else "never"


def _is_flagged(token: Mapping[str, Any], byte_level: bool) -> bool:
    """Whether an added token matches anything but exactly its own bytes."""
    has_space = SPACE_MARKER in token["content"] or " " in token["content"]
    rewritten = token["normalized"] and not byte_level and has_space
    return bool(token["single_word"] or token["lstrip"] or token["rstrip"] or rewritten)


def _character_pattern(
    steps: Sequence[Mapping[str, Any]], replaces_spaces: bool, space_prefix: str, source: str
) -> tuple[str, str]:
    """The pattern and the space prefix of a BPE of characters that writes a space as "▁"."""
    if replaces_spaces and all(map(_splits_at_spaces, steps)):
        return pre_tokenizers.SENTENCEPIECE, space_prefix  # no space is left to split at
    only_step = steps[0] if not replaces_spaces and space_prefix == "never" and len(steps) == 1 else {}
    if only_step.get("type") == "Metaspace" and only_step.get("replacement") == SPACE_MARKER:
        scheme = only_step.get("prepend_scheme", "always" if only_step.get("add_prefix_space", True) else "never")
        pattern = pre_tokenizers.METASPACE if only_step.get("split", True) else pre_tokenizers.SENTENCEPIECE
        return pattern, "never" if scheme == "never" else "missing"
    description = pre_tokenizers.describe(steps)
    raise UserError(
        f"{source}: pre_tokenizer is {description}; allowed: one that ends in ByteLevel, Metaspace with "
        f'"{SPACE_MARKER}", or none after a normalizer that replaces " " by "{SPACE_MARKER}"'
    )


def _splits_at_spaces(step: Mapping[str, Any]) -> bool:
    """Whether a pre-tokenizer splits at spaces and does nothing to a text without one.

    With `invert` it is what lies between spaces that is split off, or removed.
    """
    return step.get("type") == "Split" and step.get("pattern") == {"String": " "} and not step.get("invert")
