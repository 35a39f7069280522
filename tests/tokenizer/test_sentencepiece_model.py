"""SentencePiece models that `tokenizers` would not reproduce are refused."""

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from autocomplete.common.errors import UserError
from autocomplete.tokenizer import sentencepiece_model
from helpers.toys import TEXT


def trained(path: Path, **changes: Any) -> Path:
    model = io.BytesIO()
    options = {"model_type": "BPE", "normalization_rule_name": "identity", "remove_extra_whitespaces": False} | changes
    lines = [line for text in TEXT for line in text.splitlines() if line.strip()]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=400, minloglevel=2, byte_fallback=True, **options
    )
    path.write_bytes(model.getvalue())
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "UNIGRAM"}, "of another kind than BPE"),
        ({"normalization_rule_name": "nmt_nfkc"}, r"normalizes texts \(nmt_nfkc\)"),
        ({"remove_extra_whitespaces": True}, "without removing white space"),
    ],
)
def test_unsupported_models_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        sentencepiece_model.load(trained(tmp_path / sentencepiece_model.FILE, **changes))


def test_user_defined_pieces_are_kept_whole(tmp_path: Path) -> None:
    path = trained(tmp_path / sentencepiece_model.FILE, user_defined_symbols=["\n\n", "<turn>"], add_dummy_prefix=False)
    original, converted = sentencepiece.SentencePieceProcessor(model_file=str(path)), sentencepiece_model.load(path)
    for text in ("a\n\nb", "<turn>x", "x <turn> y\n\n\nz", "\n"):
        assert converted.encode(text).ids == original.encode(text)


def changed(path: Path, change: Callable[[Any], object]) -> Path:
    """Trains a model and changes its parsed file."""
    proto = sentencepiece_model_pb2.ModelProto.FromString(trained(path).read_bytes())
    change(proto)
    path.write_bytes(proto.SerializeToString())
    return path


def longest(proto: Any, size: int) -> None:
    proto.pieces[-1].piece = "a" * size


def score(proto: Any, value: float) -> None:
    proto.pieces[-1].score = value


DAMAGED: dict[str, tuple[Callable[[Any], object], str]] = {
    "long": (lambda p: longest(p, 257), "has the piece 'aaa.* …; allowed: 256 characters"),
    "very long": (lambda p: longest(p, 10**6), "has the piece 'aaa.* …; allowed: 256 characters"),
    "no score": (lambda p: score(p, math.nan), ": the score of '.*' is nan; allowed: a finite number"),
    "endless": (lambda p: score(p, math.inf), ": the score of '.*' is inf; allowed: a finite number"),
    "empty": (lambda p: p.Clear(), r"is no SentencePiece model \(it has no unknown piece\); download it again"),
    "without unknown": (lambda p: setattr(p.pieces[0], "type", 3), r"is no SentencePiece model \(it has no unknown"),
}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_models_are_refused(name: str, tmp_path: Path) -> None:
    change, message = DAMAGED[name]
    path = changed(tmp_path / sentencepiece_model.FILE, change)
    with pytest.raises(UserError, match=f"^{path}:? ?{message}") as error:
        sentencepiece_model.to_tokenizer_json(path)
    assert str(error.value).isprintable()


def test_a_piece_of_256_characters_is_accepted(tmp_path: Path) -> None:
    path = changed(tmp_path / sentencepiece_model.FILE, lambda proto: longest(proto, 256))
    assert "a" * 256 in sentencepiece_model.to_tokenizer_json(path)["model"]["vocab"]


# A piece with too large a length, one that is not UTF-8, and bytes in no format
NOT_PARSED = (b"\x0a\xff\x7f\x0a\x01a", b"\x0a\x03\x0a\x01\xff", b"\xff\xff", b"\x00")


@pytest.mark.parametrize("data", NOT_PARSED)
@pytest.mark.parametrize("read", [sentencepiece_model.to_tokenizer_json, sentencepiece_model.start_token])
def test_files_that_protobuf_refuses_are_refused(read: Callable[[Path], object], data: bytes, tmp_path: Path) -> None:
    """SentencePiece's own parser accepts some of them."""
    path = tmp_path / sentencepiece_model.FILE
    path.write_bytes(data)
    with pytest.raises(UserError, match=f"^{path} is no SentencePiece model .*; download it again") as error:
        read(path)
    assert str(error.value).isprintable()
