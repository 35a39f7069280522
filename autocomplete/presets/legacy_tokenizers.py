"""Files of tokenizers from before tokenizer.json, in its form: vocab.json with merges.txt, and tokenizer.model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.tokenizer import sentencepiece_model, tokenizer


def of_files(vocabulary: Mapping[str, Any], merges: Path) -> dict[str, Any]:
    """A byte-level BPE; which of its tokens are nobody's text is told by their names."""
    try:
        lines = merges.read_text("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{merges} is not UTF-8 (byte {error.start}); download it again") from None
    pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    hidden = [
        {"id": vocabulary[t], "content": t, "special": True} for t in tokenizer.special_tokens_by_name(vocabulary)
    ]
    return {"added_tokens": hidden, "model": {"type": "BPE", "vocab": dict(vocabulary), "merges": pairs}}


def of_sentencepiece(path: Path, *, start: bool) -> dict[str, Any]:
    """A SentencePiece model; with `start` its start token stands before every text."""
    content = sentencepiece_model.to_tokenizer_json(path)
    name = sentencepiece_model.start_token(path)
    if start and name is not None:
        single = [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
        content["post_processor"] = {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {}}
    return content
