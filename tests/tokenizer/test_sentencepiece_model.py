"""SentencePiece models that would cut a text otherwise than `tokenizers` does are refused."""

import io
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from autocomplete.common.errors import UserError
from autocomplete.tokenizer import sentencepiece_model
from helpers.toys import TEXT


def trained(path: Path, **changes: Any) -> Path:
    written = io.BytesIO()
    told = {"model_type": "BPE", "normalization_rule_name": "identity", "remove_extra_whitespaces": False} | changes
    lines = [line for text in TEXT for line in text.splitlines() if line.strip()]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=written, vocab_size=400, minloglevel=2, byte_fallback=True, **told
    )
    path.write_bytes(written.getvalue())
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "UNIGRAM"}, "of another kind than BPE"),
        ({"normalization_rule_name": "nmt_nfkc"}, r"normalizes texts \(nmt_nfkc\)"),
        ({"remove_extra_whitespaces": True}, "without removing white space"),
    ],
)
def test_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        sentencepiece_model.load(trained(tmp_path / sentencepiece_model.FILE, **changes))


def test_pieces_of_the_user_are_whole(tmp_path: Path) -> None:
    path = trained(tmp_path / sentencepiece_model.FILE, user_defined_symbols=["\n\n", "<turn>"], add_dummy_prefix=False)
    original, made = sentencepiece.SentencePieceProcessor(model_file=str(path)), sentencepiece_model.load(path)
    for text in ("a\n\nb", "<turn>x", "x <turn> y\n\n\nz", "\n"):
        assert made.encode(text).ids == original.encode(text)
