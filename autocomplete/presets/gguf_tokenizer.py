"""Converts the tokenizer of a GGUF file, its keys `tokenizer.ggml.*`, to tokenizer.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject
from autocomplete.presets.gguf_file import Metadata, shown
from autocomplete.presets.special_tokens import END_TOKEN_NAMES
from autocomplete.tokenizer import pre_tokenizers, sentencepiece_model, unreachable_tokens

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = range(1, 7)  # llama_token_type of llama.cpp's llama.h


@dataclass(frozen=True)
class Rule:
    """What a value of `tokenizer.ggml.pre` stands for.

    Attributes:
      pattern: the name of the pre-tokenizer's pattern (pre_tokenizers.py).
      ignore_merges: whether a word that equals a token becomes that token without merges.
      add_bos_token: the default of the key `add_bos_token`.
      nfc: whether the text is normalized to Unicode's form NFC.
    """

    pattern: str
    ignore_merges: bool = False
    add_bos_token: bool = False
    nfc: bool = False


# The names are those of llama.cpp's llama-vocab.cpp (llama_vocab::impl::load, llm_tokenizer_bpe). NFC is not in
# llama.cpp: it is part of Qwen's own tokenizer.
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
class GgufTokenizer:
    """The tokenizer of a GGUF file.

    Attributes:
      content: a complete tokenizer.json, without the ids that only pad the embedding table.
      start_token_id: the id that stands before every text; None if the tokenizer adds none.
      end_token_ids: the ids that end a text.
      pad_token_id: the id of the padding token; None if there is none.
      size: number of ids in the file, those that only pad the embedding table included.
    """

    content: JsonObject
    start_token_id: int | None
    end_token_ids: tuple[int, ...]
    pad_token_id: int | None
    size: int


@dataclass(frozen=True)
class _Tokens:
    """The id of each token, without those that only pad the embedding table; and the type of every id."""

    metadata: Metadata
    ids: Mapping[str, int]
    types: Sequence[int]

    def id_of(self, key: str) -> int:
        """The id in a key; raises UserError unless it is the id of a token."""
        token_id = int(self.metadata.get(key, int))
        if token_id not in self.ids.values():
            raise UserError(
                f"{self.metadata.path}: {key} is {token_id}; allowed: the id of a token in tokenizer.ggml.tokens"
            )
        return token_id

    def of_types(self, *types: int) -> list[str]:
        """The tokens of some types, in the order of their ids."""
        return [token for token, token_id in self.ids.items() if self.types[token_id] in types]


def read(metadata: Metadata) -> GgufTokenizer:
    """The tokenizer of a GGUF file: a byte-level BPE with a `tokenizer.ggml.pre` of RULES, or a SentencePiece BPE.

    Raises:
      UserError: with file and key, for a missing key, a wrong type, and any other kind of tokenizer.
    """
    kind = metadata.get("tokenizer.ggml.model", str)
    if kind not in ("gpt2", "llama"):
        raise UserError(f"{metadata.path}: tokenizer.ggml.model is {shown(kind)}; allowed: gpt2, llama")
    tokens = _read_tokens(metadata)
    if kind == "gpt2":
        rule = _read_rule(metadata)
        parts, add_bos_token = _byte_level_parts(tokens, rule), rule.add_bos_token
    else:
        parts, add_bos_token = _sentencepiece_parts(tokens), True
    added_tokens = [
        {"id": tokens.ids[token], "content": token, "single_word": False, "lstrip": False, "rstrip": False}
        | {"normalized": False, "special": tokens.types[tokens.ids[token]] != _USER_DEFINED}
        for token in tokens.of_types(_UNKNOWN, _CONTROL, _USER_DEFINED)
    ]
    content = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added_tokens}
    content |= {"post_processor": None} | parts
    unreachable_tokens.require(content, f"{metadata.path}: tokenizer.ggml")
    add_bos_token = metadata.get("tokenizer.ggml.add_bos_token", bool, add_bos_token)
    start = tokens.id_of("tokenizer.ggml.bos_token_id") if add_bos_token else None
    padding = metadata.get("tokenizer.ggml.padding_token_id", int, None)
    padding = padding if padding in tokens.ids.values() else None  # it may be an id that only pads the embedding table
    return GgufTokenizer(content, start, _end_token_ids(tokens), padding, len(tokens.types))


def _read_tokens(metadata: Metadata) -> _Tokens:
    names = metadata.get("tokenizer.ggml.tokens", list)
    types = metadata.get("tokenizer.ggml.token_type", np.ndarray).tolist()
    key = f"{metadata.path}: tokenizer.ggml.token_type"
    if len(types) != len(names):
        raise UserError(f"{key} has {len(types)} values; allowed: {len(names)}, one for each token")
    unknown_types = [kind for kind in types if kind not in range(1, 7)]
    if unknown_types:
        raise UserError(f"{key} has the value {unknown_types[0]}; allowed: 1 to 6")
    # llama.cpp's converter pads the embedding table with tokens that are named after their ids; in older files these
    # may have any type
    used = [(name, i) for i, name in enumerate(names) if name and types[i] != _UNUSED and name != f"[PAD{i}]"]
    ids = dict(used)
    if len(ids) != len(used):
        duplicate = next(token for token, token_id in used if ids[token] != token_id)
        raise UserError(
            f"{metadata.path}: tokenizer.ggml.tokens has {shown(duplicate)} twice; allowed: each token once"
        )
    return _Tokens(metadata, ids, types)


def _read_rule(metadata: Metadata) -> Rule:
    is_gpt2 = metadata.values.get("general.architecture") == "gpt2"  # its files may be older than this key
    name = metadata.get("tokenizer.ggml.pre", str, *(("gpt-2",) if is_gpt2 else ()))
    if name not in RULES:
        raise UserError(f"{metadata.path}: tokenizer.ggml.pre is {shown(name)}; allowed: {', '.join(RULES)}")
    if metadata.get("tokenizer.ggml.add_space_prefix", bool, False):
        raise UserError(
            f"{metadata.path}: tokenizer.ggml.add_space_prefix is true; allowed for a byte-level BPE: false"
        )
    return RULES[name]


def _byte_level_parts(tokens: _Tokens, rule: Rule) -> JsonObject:
    """The parts of tokenizer.json that are specific to a byte-level BPE."""
    return {
        "normalizer": {"type": "NFC"} if rule.nfc else None,
        "pre_tokenizer": pre_tokenizers.pre_tokenizer(rule.pattern),
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": _model(tokens, _read_merges(tokens)) | {"ignore_merges": rule.ignore_merges},
    }


def _read_merges(tokens: _Tokens) -> list[list[str]]:
    """The merges of a byte-level BPE."""
    pairs: dict[tuple[str, str], None] = {}
    key = f"{tokens.metadata.path}: tokenizer.ggml.merges"
    for line in tokens.metadata.get("tokenizer.ggml.merges", list):
        cut = line.find(" ", 1)  # like llama.cpp, from the second character on: a token may begin with a space
        left, right = line[:cut], line[cut + 1 :]
        if cut < 0 or not all(token in tokens.ids for token in (left, right, left + right)):
            raise UserError(
                f"{key} has {shown(line)}; allowed: two tokens with a space between them that together are one of "
                "tokenizer.ggml.tokens"
            )
        if (left, right) in pairs:  # some programs would take its first rank, others its last one
            raise UserError(f"{key} has {shown(line)} twice; allowed: each pair once")
        pairs[left, right] = None
    return [list(pair) for pair in pairs]


def _sentencepiece_parts(tokens: _Tokens) -> JsonObject:
    """The parts of tokenizer.json that are specific to a SentencePiece BPE; as in llama.cpp it has byte fallback."""
    metadata = tokens.metadata
    if metadata.get("tokenizer.ggml.remove_extra_whitespaces", bool, False):
        raise UserError(f"{metadata.path}: tokenizer.ggml.remove_extra_whitespaces is true; allowed: false")
    if len(metadata.get("tokenizer.ggml.precompiled_charsmap", np.ndarray, ())):
        raise UserError(f"{metadata.path}: tokenizer.ggml.precompiled_charsmap changes texts; allowed: none")
    scores = metadata.get("tokenizer.ggml.scores", np.ndarray)
    if len(scores) != len(tokens.types) or not np.isfinite(scores).all():
        raise UserError(f"{metadata.path}: tokenizer.ggml.scores is not one finite number for each token")
    is_gemma = str(metadata.values.get("general.architecture")).startswith("gemma")
    space_prefix = metadata.get("tokenizer.ggml.add_space_prefix", bool, not is_gemma)
    normal_scores = {token: float(scores[tokens.ids[token]]) for token in tokens.of_types(_NORMAL)}
    longest = max(normal_scores, key=len, default="")
    limit = sentencepiece_model.LONGEST_PIECE
    if len(longest) > limit:
        raise UserError(f"{metadata.path}: tokenizer.ggml.tokens has {shown(longest)}; allowed: {limit} characters")
    unk_token = next(iter(tokens.of_types(_UNKNOWN)), None)
    model = _model(tokens, [list(pair) for pair in sentencepiece_model.merges(normal_scores)])
    return {
        "normalizer": sentencepiece_model.normalizer(space_prefix),
        "pre_tokenizer": None,
        "decoder": sentencepiece_model.decoder(space_prefix),
        "model": model | {"unk_token": unk_token, "fuse_unk": True, "byte_fallback": True},
    }


def _model(tokens: _Tokens, merges: list[list[str]]) -> JsonObject:
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


def _end_token_ids(tokens: _Tokens) -> tuple[int, ...]:
    """The ids that end a text: those that the file names, then control tokens with a known name of an end token."""
    keys = [f"tokenizer.ggml.{name}_token_id" for name in ("eos", "eot", "eom")]
    by_key = [tokens.id_of(key) for key in keys if key in tokens.metadata.values]
    by_name = [tokens.ids[token] for token in tokens.of_types(_CONTROL) if token in END_TOKEN_NAMES]
    if not by_key and not by_name:
        raise UserError(f"{tokens.metadata.path} has no {keys[0]}; allowed: the id of a token in tokenizer.ggml.tokens")
    return tuple(dict.fromkeys(by_key + by_name))
