"""The known patterns by which a pre-tokenizer splits a text into words, in the form of tokenizer.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autocomplete.common.json_files import JsonObject, one_line, shown

GPT2, DIGITS, LLAMA3, QWEN = "gpt2", "digits", "llama3", "qwen"
# For a BPE of characters that writes a space as "▁": the whole text is one word, or a word begins at each "▁".
SENTENCEPIECE, METASPACE = "sentencepiece", "metaspace"
SPACE_MARKER = "▁"

# OpenAI, encoder.py of GPT-2; built into ByteLevel as `use_regex`.
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# Meta, tokenizer.py of Llama 3.
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)
_QWEN = _LLAMA3.replace("{1,3}", "")  # Alibaba, tokenization_qwen2.py of transformers

Steps = tuple[str, ...]


@dataclass(frozen=True)
class Pattern:
    """A named pattern, and every sequence of pre-tokenizers that implements it, in short form."""

    name: str
    steps: tuple[Steps, ...]


# Short forms: `words` is ByteLevel with GPT-2's regular expression, `bytes` is ByteLevel without it, `digits` is Digits
# with individual digits; any other text is the regular expression of a Split, which is none of these words.
_WORDS = ("words", "bytes", "digits")
PATTERNS = (
    # GPT-2, OPT, GPT-NeoX and Pythia (which adds NFC and tokens of spaces)
    Pattern(GPT2, (("words",), (_GPT2, "bytes"))),
    # SmolLM, SmolLM2, StarCoder, StarCoder 2, Refact, Command R
    Pattern(DIGITS, (("digits", "words"), ("digits", _GPT2, "bytes"))),
    Pattern(LLAMA3, ((_LLAMA3, "bytes"),)),
    Pattern(QWEN, ((_QWEN, "bytes"),)),
)
# The pattern of a model type whose tokenizer.json has no pre_tokenizer; transformers adds the same one.
MODEL_TYPE_PATTERNS = {"gpt2": GPT2, "llama": LLAMA3, "qwen2": QWEN, "qwen3": QWEN}


def flatten(part: Mapping[str, Any] | None, inner: str) -> list[Mapping[str, Any]]:
    """The steps of a part of tokenizer.json, with nested sequences unfolded.

    Args:
      part: a normalizer, pre-tokenizer or post-processor; None has no steps.
      inner: the key under which a sequence of this part lists its steps.
    """
    if part is None:
        return []
    if part.get("type") == "Sequence":
        return [step for child in part[inner] for step in flatten(child, inner)]
    return [part]


def pattern_name(steps: Sequence[Mapping[str, Any]]) -> str | None:
    """The name of the pattern that a sequence of pre-tokenizers implements; None if no known pattern matches."""
    short_forms = tuple(map(_short_form, steps))
    return next((pattern.name for pattern in PATTERNS if short_forms in pattern.steps), None)


def describe(steps: Sequence[Mapping[str, Any]]) -> str:
    """A sequence of pre-tokenizers as short text, for error messages and model.json."""
    texts = (_short_form(step) or f"{step.get('type')} {shown(dict(step))}" for step in steps)
    return " + ".join(one_line(text, 120) for text in texts) or "none"


def pre_tokenizer(name: str) -> JsonObject:
    """The `pre_tokenizer` of tokenizer.json that implements a pattern."""
    short_forms = next(pattern.steps[0] for pattern in PATTERNS if pattern.name == name)
    steps = [_long_form(step) for step in short_forms]
    return steps[0] if len(steps) == 1 else {"type": "Sequence", "pretokenizers": steps}


def _short_form(step: Mapping[str, Any]) -> str:
    """The short form of a pre-tokenizer; empty if it has none."""
    kind, pattern = step.get("type"), step.get("pattern")
    isolated = step.get("behavior") == "Isolated" and not step.get("invert")
    if kind == "ByteLevel" and not step.get("add_prefix_space", True):
        return "words" if step.get("use_regex", True) else "bytes"
    if kind == "Digits":
        return "digits" if step.get("individual_digits") else ""
    regex = str(pattern.get("Regex", "")) if kind == "Split" and isinstance(pattern, Mapping) and isolated else ""
    return "" if regex in _WORDS else regex


def _long_form(step: str) -> JsonObject:
    if step == "digits":
        return {"type": "Digits", "individual_digits": True}
    if step in ("words", "bytes"):
        return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": step == "words"}
    return {"type": "Split", "pattern": {"Regex": step}, "behavior": "Isolated", "invert": False}
