"""SentencePiece models, as Llama 2, Mistral and Gemma have them, in the form of Hugging Face's `tokenizers`."""

from pathlib import Path
from typing import Any

import tokenizers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import decoders, models, normalizers

from stages.errors import UserError

FILE = "vocabulary.spm"  # in a KerasHub preset
_BLANK = "▁"
_NORMAL, _UNKNOWN, _USER_DEFINED, _BPE = 1, 2, 4, 2  # of sentencepiece_model.proto


def load(path: Path) -> tokenizers.Tokenizer:
    """The tokenizer of a SentencePiece file; text never becomes a control piece.

    Raises:
      UserError: for a model that is not BPE, or changes a text before it cuts it.
    """
    proto = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())
    _check(path, proto)
    ids = {piece.piece: number for number, piece in enumerate(proto.pieces)}
    unknown = next(piece.piece for piece in proto.pieces if piece.type == _UNKNOWN)
    made = tokenizers.Tokenizer(
        models.BPE(
            ids, _merges(proto), unk_token=unknown, fuse_unk=True, byte_fallback=proto.trainer_spec.byte_fallback
        )
    )
    prefix = proto.normalizer_spec.add_dummy_prefix
    steps = [normalizers.Prepend(_BLANK)] if prefix else []
    made.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", _BLANK)])
    known = [piece.piece for piece in proto.pieces if piece.type == _USER_DEFINED]
    made.add_tokens([tokenizers.AddedToken(piece, normalized=True, special=False) for piece in known])
    end = [decoders.Strip(" ", 1, 0)] if prefix else []
    made.decoder = decoders.Sequence([decoders.Replace(_BLANK, " "), decoders.ByteFallback(), decoders.Fuse(), *end])
    return made


def _merges(proto: Any) -> list[tuple[str, str]]:
    """Pairs of pieces that make a piece, the best pieces first: SentencePiece merges whatever makes the best one."""
    scores = {piece.piece: piece.score for piece in proto.pieces if piece.type == _NORMAL}
    pairs = [
        (piece[:cut], piece[cut:])
        for piece in sorted(scores, key=lambda piece: -scores[piece])
        for cut in range(1, len(piece))
    ]
    return [(left, right) for left, right in pairs if left in scores and right in scores]


def _check(path: Path, proto: Any) -> None:
    if proto.trainer_spec.model_type != _BPE:
        raise UserError(f"{path} is a SentencePiece model of another kind than BPE, the one that can be converted")
    rules = proto.normalizer_spec
    if rules.precompiled_charsmap or rules.remove_extra_whitespaces:
        raise UserError(f"{path} normalizes texts ({rules.name}); allowed: identity, without removing white space")


def piece_bytes(vocabulary: dict[str, int]) -> list[bytes]:
    """The bytes that each piece stands for: `<0x0A>` is a byte, and other names in angle brackets are no text."""
    result = [b""] * (max(vocabulary.values()) + 1)
    for piece, number in vocabulary.items():
        if len(piece) == 6 and piece.startswith("<0x"):
            result[number] = bytes([int(piece[3:5], 16)])
        elif not (piece.startswith("<") and piece.endswith(">") and len(piece) > 2):
            result[number] = piece.replace(_BLANK, " ").encode()
    return result
