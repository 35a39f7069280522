"""SentencePiece models, as Llama 2, Mistral and Gemma have them, in the form of Hugging Face's `tokenizers`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers
from sentencepiece import sentencepiece_model_pb2

from autocomplete.common.errors import UserError
from autocomplete.tokenizer import tokenizer_json
from autocomplete.tokenizer.pre_tokenizers import BLANK

FILE = "vocabulary.spm"  # in a KerasHub preset
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _BPE = 1, 2, 3, 4, 2  # of sentencepiece_model.proto


def content(path: Path) -> dict[str, Any]:
    """The tokenizer.json of a SentencePiece file.

    Raises:
      UserError: for a model that is not BPE, or changes a text before it cuts it.
    """
    proto = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    _check(path, proto)
    ids = {piece.piece: number for number, piece in enumerate(proto.pieces)}
    unknown = next(piece.piece for piece in proto.pieces if piece.type == _UNKNOWN)
    prefix = proto.normalizer_spec.add_dummy_prefix
    kinds = {_CONTROL: {"special": True}, _USER_DEFINED: {"normalized": True}}
    blanks = {"pattern": {"String": BLANK}, "content": " "}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": ids[p.piece], "content": p.piece} | kinds[p.type] for p in proto.pieces if p.type in kinds
        ],
        "normalizer": normalizer(prefix),
        "pre_tokenizer": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace"} | blanks,
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                *([{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []),
            ],
        },
        "model": {
            "type": "BPE",
            "vocab": ids,
            "merges": [list(pair) for pair in _merges(proto)],
            "unk_token": unknown,
            "fuse_unk": True,
            "byte_fallback": bool(proto.trainer_spec.byte_fallback),
        },
    }


def start_piece(path: Path) -> str | None:
    """The piece that begins a text, None where a SentencePiece file has none."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    place = proto.trainer_spec.bos_id
    return str(proto.pieces[place].piece) if 0 <= place < len(proto.pieces) else None


def normalizer(prefix: bool) -> dict[str, Any]:
    """The normalizer that writes "▁" for a blank, and with `prefix` puts one before a text."""
    steps = [{"type": "Prepend", "prepend": BLANK}] if prefix else []
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}
    return {"type": "Sequence", "normalizers": [*steps, replace]}


def load(path: Path) -> tokenizers.Tokenizer:
    """The tokenizer of a SentencePiece file; text never becomes a control piece."""
    return tokenizer_json.load(tokenizer_json.completed(content(path), "", str(path)), str(path))


def _merges(proto: Any) -> list[tuple[str, str]]:
    return merges({piece.piece: piece.score for piece in proto.pieces if piece.type == _NORMAL})


def merges(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """Pairs of pieces that make a piece, the best pieces first: SentencePiece merges whatever makes the best one."""
    pairs = (
        (piece[:cut], piece[cut:])
        for piece in sorted(scores, key=lambda piece: -scores[piece])
        for cut in range(1, len(piece))
    )
    return [(left, right) for left, right in pairs if left in scores and right in scores]


def _check(path: Path, proto: Any) -> None:
    if proto.trainer_spec.model_type != _BPE:
        raise UserError(f"{path} is a SentencePiece model of another kind than BPE, the one that can be converted")
    rules = proto.normalizer_spec
    if rules.precompiled_charsmap or rules.remove_extra_whitespaces:
        raise UserError(f"{path} normalizes texts ({rules.name}); allowed: identity, without removing white space")
