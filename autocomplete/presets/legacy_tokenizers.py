"""Converts tokenizer files older than tokenizer.json: vocab.json with merges.txt, and tokenizer.model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject
from autocomplete.tokenizer import sentencepiece_model, tokenizer


def from_vocab_and_merges(vocabulary: Mapping[str, Any], merges: Path) -> JsonObject:
    """The tokenizer.json, not yet complete, of a byte-level BPE; special tokens are recognized by their names."""
    try:
        lines = merges.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{merges} is not UTF-8 (byte {error.start}); download it again") from None
    pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    names = tokenizer.special_tokens_by_name(vocabulary)
    special = [{"id": vocabulary[name], "content": name, "special": True} for name in names]
    return {"added_tokens": special, "model": {"type": "BPE", "vocab": dict(vocabulary), "merges": pairs}}


def from_sentencepiece(path: Path, *, start: bool) -> JsonObject:
    """The tokenizer.json of a SentencePiece model; if `start` is true, it puts the start token before every text."""
    content = sentencepiece_model.to_tokenizer_json(path)
    name = sentencepiece_model.start_token(path)
    if start and name is not None:
        single = [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
        content["post_processor"] = {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {}}
    return content
