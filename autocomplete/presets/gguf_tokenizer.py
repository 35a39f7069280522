"""The tokenizer of a GGUF file, its keys `tokenizer.ggml.*`, as a tokenizer.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autocomplete.common.errors import UserError
from autocomplete.presets.gguf_file import Metadata, shown
from autocomplete.presets.special_tokens import END_NAMES
from autocomplete.tokenizer import pre_tokenizers, sentencepiece_model, tokenizer_json

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = range(1, 7)  # llama_token_type of llama.cpp's llama.h
_LONGEST = 256  # characters of a SentencePiece token, each of whose parts is looked up; SentencePiece makes 16


@dataclass(frozen=True)
class Rule:
    """What a name of `tokenizer.ggml.pre` stands for: a row of patterns.py, and what goes with it.

    With `ignore_merges` a word that is a token is taken whole. `start` is what `add_bos_token` is where it is left out.
    """

    pattern: str
    ignore_merges: bool = False
    start: bool = False
    nfc: bool = False


# The names are those of llama.cpp's llama-vocab.cpp (llama_vocab::impl::load, llm_tokenizer_bpe); NFC is Qwen's own.
_NAMES = (
    (
        "default gpt-2 phi-2 mpt olmo jais gigachat a.x-4.0 mellum exaone4 trillion granite-docling",
        Rule(pre_tokenizers.GPT2),
    ),
    ("smollm starcoder refact command-r codeshell exaone minerva-7b mellum2", Rule(pre_tokenizers.DIGITS)),
    ("smaug-bpe dbrx", Rule(pre_tokenizers.LLAMA3)),
    ("llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2", Rule(pre_tokenizers.LLAMA3, True, True)),
    ("qwen2 deepseek-r1-qwen megrez kormo f2llmv2", Rule(pre_tokenizers.QWEN, nfc=True)),
)
RULES = {name: rule for names, rule in _NAMES for name in names.split()}


@dataclass(frozen=True)
class Tokenizer:
    """A completed tokenizer.json, the ids that begin and end a text and fill up others, None where there is none.

    `size` is how many ids the file has; those that nothing stands for, which fill up a table of embeddings, are not in
    the vocabulary of `content`.
    """

    content: dict[str, Any]
    start: int | None
    ends: tuple[int, ...]
    padding: int | None
    size: int


@dataclass(frozen=True)
class _Tokens:
    """The tokens that stand for something, their ids, and of every id its type."""

    metadata: Metadata
    ids: Mapping[str, int]
    types: Sequence[int]

    def id_of(self, key: str) -> int:
        """The id that a key gives; raises UserError where it is none of the vocabulary's."""
        found = int(self.metadata.get(key, int))
        if found not in self.ids.values():
            raise UserError(
                f"{self.metadata.path}: {key} is {found}; allowed: the id of a token in tokenizer.ggml.tokens"
            )
        return found

    def of(self, *types: int) -> list[str]:
        """The tokens of some types, in the order of their ids."""
        return [token for token, number in self.ids.items() if self.types[number] in types]


def read(metadata: Metadata) -> Tokenizer:
    """The tokenizer of a GGUF file.

    Raises:
      UserError: naming file and key, for what is missing or of a wrong type, and for kinds of tokenizers that are not
        known: allowed are byte-level BPE with a `tokenizer.ggml.pre` of RULES, and SentencePiece BPE.
    """
    kind = metadata.get("tokenizer.ggml.model", str)
    if kind not in ("gpt2", "llama"):
        raise UserError(f"{metadata.path}: tokenizer.ggml.model is {shown(kind)}; allowed: gpt2, llama")
    tokens = _tokens(metadata)
    if kind == "gpt2":
        rule = _rule(metadata)
        parts, starts = _byte_level(tokens, rule), rule.start
    else:
        parts, starts = _sentencepiece(tokens), True
    added = [
        {"id": tokens.ids[token], "content": token, "single_word": False, "lstrip": False, "rstrip": False}
        | {"normalized": False, "special": tokens.types[tokens.ids[token]] != _USER_DEFINED}
        for token in tokens.of(_UNKNOWN, _CONTROL, _USER_DEFINED)
    ]
    content = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "post_processor": None}
    tokenizer_json.require_unreachable_special_tokens(content | parts, f"{metadata.path}: tokenizer.ggml")
    starts = metadata.get("tokenizer.ggml.add_bos_token", bool, starts)
    start = tokens.id_of("tokenizer.ggml.bos_token_id") if starts else None
    padding = metadata.get("tokenizer.ggml.padding_token_id", int, None)
    padding = padding if padding in tokens.ids.values() else None  # it may be one of those that nothing stands for
    return Tokenizer(content | parts, start, _ends(tokens), padding, len(tokens.types))


def _tokens(metadata: Metadata) -> _Tokens:
    names = metadata.get("tokenizer.ggml.tokens", list)
    types = metadata.get("tokenizer.ggml.token_type", np.ndarray).tolist()
    place = f"{metadata.path}: tokenizer.ggml.token_type"
    if len(types) != len(names):
        raise UserError(f"{place} has {len(types)} values; allowed: {len(names)}, one for each token")
    odd = [kind for kind in types if kind not in range(1, 7)]
    if odd:
        raise UserError(f"{place} has the value {odd[0]}; allowed: 1 to 6")
    # llama.cpp's converter fills up the table of embeddings with tokens named by their ids, in older files of any type
    kept = [(t, i) for i, t in enumerate(names) if t and types[i] != _UNUSED and t != f"[PAD{i}]"]
    ids = dict(kept)
    if len(ids) != len(kept):
        twice = next(token for token, number in kept if ids[token] != number)
        raise UserError(f"{metadata.path}: tokenizer.ggml.tokens has {shown(twice)} twice; allowed: each token once")
    return _Tokens(metadata, ids, types)


def _rule(metadata: Metadata) -> Rule:
    known = ("gpt-2",) if metadata.values.get("general.architecture") == "gpt2" else ()  # older than this key
    name = metadata.get("tokenizer.ggml.pre", str, *known)
    if name not in RULES:
        raise UserError(f"{metadata.path}: tokenizer.ggml.pre is {shown(name)}; allowed: {', '.join(RULES)}")
    if metadata.get("tokenizer.ggml.add_space_prefix", bool, False):
        raise UserError(
            f"{metadata.path}: tokenizer.ggml.add_space_prefix is true; allowed for a byte-level BPE: false"
        )
    return RULES[name]


def _byte_level(tokens: _Tokens, rule: Rule) -> dict[str, Any]:
    """The parts of tokenizer.json that make a byte-level BPE."""
    pairs = []
    for line in tokens.metadata.get("tokenizer.ggml.merges", list):
        cut = line.find(" ", 1)  # as llama.cpp does: a token may begin with a blank
        left, right = line[:cut], line[cut + 1 :]
        if cut < 0 or not all(token in tokens.ids for token in (left, right, left + right)):
            raise UserError(
                f"{tokens.metadata.path}: tokenizer.ggml.merges has {shown(line)}; allowed: two tokens with a blank "
                "between them that together are one of tokenizer.ggml.tokens"
            )
        pairs.append([left, right])
    return {
        "normalizer": {"type": "NFC"} if rule.nfc else None,
        "pre_tokenizer": pre_tokenizers.pre_tokenizer(rule.pattern),
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": _model(tokens, pairs) | {"ignore_merges": rule.ignore_merges},
    }


def _sentencepiece(tokens: _Tokens) -> dict[str, Any]:
    """The parts of tokenizer.json that make a SentencePiece BPE; llama.cpp takes its bytes for what has no token."""
    metadata = tokens.metadata
    if metadata.get("tokenizer.ggml.remove_extra_whitespaces", bool, False):
        raise UserError(f"{metadata.path}: tokenizer.ggml.remove_extra_whitespaces is true; allowed: false")
    if len(metadata.get("tokenizer.ggml.precompiled_charsmap", np.ndarray, ())):
        raise UserError(f"{metadata.path}: tokenizer.ggml.precompiled_charsmap changes texts; allowed: none")
    scores = metadata.get("tokenizer.ggml.scores", np.ndarray)
    if len(scores) != len(tokens.types) or not np.isfinite(scores).all():
        raise UserError(f"{metadata.path}: tokenizer.ggml.scores is not one finite number for each token")
    prefix = not str(metadata.values.get("general.architecture")).startswith("gemma")
    prefix = metadata.get("tokenizer.ggml.add_space_prefix", bool, prefix)
    normal = {token: float(scores[tokens.ids[token]]) for token in tokens.of(_NORMAL)}
    longest = max(normal, key=len, default="")
    if len(longest) > _LONGEST:
        raise UserError(f"{metadata.path}: tokenizer.ggml.tokens has {shown(longest)}; allowed: {_LONGEST} characters")
    blanks = {"type": "Replace", "pattern": {"String": pre_tokenizers.SPACE_MARKER}, "content": " "}
    end = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []
    unknown = {"unk_token": next(iter(tokens.of(_UNKNOWN)), None), "fuse_unk": True, "byte_fallback": True}
    return {
        "normalizer": sentencepiece_model.normalizer(prefix),
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": [blanks, {"type": "ByteFallback"}, {"type": "Fuse"}, *end]},
        "model": _model(tokens, [list(pair) for pair in sentencepiece_model.merges(normal)]) | unknown,
    }


def _model(tokens: _Tokens, merges: list[list[str]]) -> dict[str, Any]:
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": dict(tokens.ids),
        "merges": merges,
    }


def _ends(tokens: _Tokens) -> tuple[int, ...]:
    """The ids that end a text: those that the file names, then control tokens with the name of an end."""
    keys = [f"tokenizer.ggml.{name}_token_id" for name in ("eos", "eot", "eom")]
    told = [tokens.id_of(key) for key in keys if key in tokens.metadata.values]
    named = [tokens.ids[token] for token in tokens.of(_CONTROL) if token in END_NAMES]
    if not told and not named:
        raise UserError(f"{tokens.metadata.path} has no {keys[0]}; allowed: the id of a token in tokenizer.ggml.tokens")
    return tuple(dict.fromkeys(told + named))
