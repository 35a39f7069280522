"""How texts are cut into words before bytes are merged: the patterns that are known, as tokenizer.json writes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GPT2, DIGITS, LLAMA3, QWEN = "gpt2", "digits", "llama3", "qwen"
# Of a BPE of characters, in which "▁" stands for a blank: a text is one word, or one begins at each "▁".
SENTENCEPIECE, METASPACE = "sentencepiece", "metaspace"
BLANK = "▁"

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
    """A row: its name, and the steps of pre-tokenizers, each in its short form, that cut so."""

    name: str
    steps: tuple[Steps, ...]


# In short form: `words` is ByteLevel with GPT-2's pattern, `bytes` ByteLevel without, `digits` each digit by itself.
PATTERNS = (
    # GPT-2, OPT, GPT-NeoX and Pythia (which adds NFC and tokens of blanks)
    Pattern(GPT2, (("words",), (_GPT2, "bytes"))),
    # SmolLM, SmolLM2, StarCoder, StarCoder 2, Refact, Command R
    Pattern(DIGITS, (("digits", "words"), ("digits", _GPT2, "bytes"))),
    Pattern(LLAMA3, ((_LLAMA3, "bytes"),)),
    Pattern(QWEN, ((_QWEN, "bytes"),)),
)
# What these model types do where a tokenizer.json leaves the key out; transformers fills it in likewise.
OF_MODEL_TYPES = {"gpt2": GPT2, "llama": LLAMA3, "qwen2": QWEN, "qwen3": QWEN}


def flat(part: Mapping[str, Any] | None, inner: str) -> list[Mapping[str, Any]]:
    """The steps of a part of tokenizer.json, sequences (whose steps are under the key `inner`) unfolded."""
    if part is None:
        return []
    if part.get("type") == "Sequence":
        return [step for one in part[inner] for step in flat(one, inner)]
    return [part]


def name_of(steps: Sequence[Mapping[str, Any]]) -> str | None:
    """The name of the pattern that pre-tokenizers follow; None where there is no row for it."""
    short = tuple(map(_short, steps))
    return next((p.name for p in PATTERNS if short in p.steps), None)


def described(steps: Sequence[Mapping[str, Any]]) -> str:
    """Pre-tokenizers in few words, for messages."""
    return " + ".join(_short(step) or f"{step.get('type')} {dict(step)}"[:120] for step in steps) or "none"


def pre_tokenizer(name: str) -> dict[str, Any]:
    """The part of tokenizer.json that cuts texts by a pattern."""
    steps = next(p.steps[0] for p in PATTERNS if p.name == name)
    made = [_long(step) for step in steps]
    return made[0] if len(made) == 1 else {"type": "Sequence", "pretokenizers": made}


def _short(step: Mapping[str, Any]) -> str:
    """A pre-tokenizer's short form, empty where it has none."""
    kind, pattern = step.get("type"), step.get("pattern")
    isolated = step.get("behavior") == "Isolated" and not step.get("invert")
    if kind == "ByteLevel" and not step.get("add_prefix_space", True):
        return "words" if step.get("use_regex", True) else "bytes"
    if kind == "Digits":
        return "digits" if step.get("individual_digits") else ""
    return str(pattern.get("Regex", "")) if kind == "Split" and isinstance(pattern, Mapping) and isolated else ""


def _long(step: str) -> dict[str, Any]:
    if step == "digits":
        return {"type": "Digits", "individual_digits": True}
    if step in ("words", "bytes"):
        return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": step == "words"}
    return {"type": "Split", "pattern": {"Regex": step}, "behavior": "Isolated", "invert": False}
