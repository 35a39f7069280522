"""SentencePiece models, as Llama 2, Mistral and Gemma have them, converted to tokenizer.json."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers
from sentencepiece import sentencepiece_model_pb2

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject, one_line, plain, shown
from autocomplete.tokenizer import tokenizer_json
from autocomplete.tokenizer.pre_tokenizers import SPACE_MARKER

FILE = "vocabulary.spm"  # in a KerasHub preset
# ModelProto.SentencePiece.Type and TrainerSpec.ModelType of sentencepiece_model.proto.
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4
_BPE = 2
LONGEST_PIECE = 256  # characters; every split of a piece is looked up (SentencePiece's own limit is 16)


def to_tokenizer_json(path: Path) -> JsonObject:
    """The tokenizer.json of a SentencePiece file.

    Raises:
      UserError: for a model other than BPE, and for one that normalizes texts.
    """
    proto = _read(path)
    _require_plain_bpe(path, proto)
    ids = {piece.piece: index for index, piece in enumerate(proto.pieces)}
    unk_token = next(piece.piece for piece in proto.pieces if piece.type == _UNKNOWN)
    add_dummy_prefix = proto.normalizer_spec.add_dummy_prefix
    flags = {_CONTROL: {"special": True}, _USER_DEFINED: {"normalized": True}}
    added = [piece for piece in proto.pieces if piece.type in flags]
    scores = {piece.piece: piece.score for piece in proto.pieces if piece.type == _NORMAL}
    _require_plain_pieces(path, scores)
    return {
        "version": "1.0",
        "added_tokens": [{"id": ids[p.piece], "content": p.piece} | flags[p.type] for p in added],
        "normalizer": normalizer(add_dummy_prefix),
        "pre_tokenizer": None,
        "decoder": decoder(add_dummy_prefix),
        "model": {
            "type": "BPE",
            "vocab": ids,
            "merges": [list(pair) for pair in merges(scores)],
            "unk_token": unk_token,
            "fuse_unk": True,
            "byte_fallback": bool(proto.trainer_spec.byte_fallback),
        },
    }


def start_token(path: Path) -> str | None:
    """The piece that begins a text; None if a SentencePiece file has none."""
    proto = _read(path)
    index = proto.trainer_spec.bos_id
    return str(proto.pieces[index].piece) if 0 <= index < len(proto.pieces) else None


def normalizer(space_prefix: bool) -> JsonObject:
    """The normalizer that writes a space as "▁", and puts a "▁" before a text if `space_prefix` is true."""
    prepend = [{"type": "Prepend", "prepend": SPACE_MARKER}] if space_prefix else []
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE_MARKER}
    return {"type": "Sequence", "normalizers": [*prepend, replace]}


def decoder(space_prefix: bool) -> JsonObject:
    """The decoder that undoes `normalizer` and byte fallback."""
    replace = {"type": "Replace", "pattern": {"String": SPACE_MARKER}, "content": " "}
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if space_prefix else []
    return {"type": "Sequence", "decoders": [replace, {"type": "ByteFallback"}, {"type": "Fuse"}, *strip]}


def load(path: Path) -> tokenizers.Tokenizer:
    """The tokenizer of a SentencePiece file; no text becomes a control piece."""
    return tokenizer_json.load(tokenizer_json.complete(to_tokenizer_json(path), "", str(path)), str(path))


def merges(scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """All pairs of pieces that form another piece, in the order in which SentencePiece merges: by the piece's score.

    Args:
      scores: the score of each normal piece.
    """
    pairs = (
        (piece[:cut], piece[cut:])
        for piece in sorted(scores, key=lambda piece: -scores[piece])
        for cut in range(1, len(piece))
    )
    return [(left, right) for left, right in pairs if left in scores and right in scores]


def _read(path: Path) -> Any:
    """The parsed file. SentencePiece's own parser, which checks a preset first, accepts more than this one."""
    try:
        proto = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    except Exception as error:  # protobuf's DecodeError, or whatever its implementation raises
        raise UserError(f"{path} is no SentencePiece model ({one_line(error, 100)}); download it again") from None
    not_utf8 = next((i for i, piece in enumerate(proto.pieces) if not isinstance(piece.piece, str)), None)
    if not_utf8 is not None:  # protobuf gives its bytes then
        raise UserError(f"{path} is no SentencePiece model (piece {not_utf8} is not UTF-8); download it again")
    if not any(piece.type == _UNKNOWN for piece in proto.pieces):
        raise UserError(f"{path} is no SentencePiece model (it has no unknown piece); download it again")
    return proto


def _require_plain_pieces(path: Path, scores: Mapping[str, float]) -> None:
    longest = max(scores, key=len, default="")
    if len(longest) > LONGEST_PIECE:
        raise UserError(f"{path} has the piece {shown(longest)}; allowed: {LONGEST_PIECE} characters")
    unordered = next((piece for piece, score in scores.items() if not math.isfinite(score)), None)
    if unordered is not None:
        raise UserError(f"{path}: the score of {shown(unordered)} is {scores[unordered]}; allowed: a finite number")


def _require_plain_bpe(path: Path, proto: Any) -> None:
    if proto.trainer_spec.model_type != _BPE:
        raise UserError(f"{path} is a SentencePiece model of another kind than BPE, the only one that can be converted")
    spec = proto.normalizer_spec
    if spec.precompiled_charsmap or spec.remove_extra_whitespaces:
        name = plain(str(spec.name))
        raise UserError(f"{path} normalizes texts ({name}); allowed: identity, without removing white space")
