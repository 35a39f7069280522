"""Text for evaluation and calibration: documents from a file, windows of tokens, beginnings for completion."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError


def read_documents(path: Path, setting: str) -> list[str]:
    """The documents of a JSONL file (objects with `text`) or of a plain text file (parted by blank lines).

    `setting` is the key of the configuration that names the file, for messages.
    """
    content = content_of(path, setting, "a .jsonl or .txt file")
    if path.suffix == ".jsonl":
        documents = list(from_lines(path, content))
    else:
        documents = [part.strip() for part in re.split(r"\n\s*\n", content)]
    documents = [d for d in documents if d]
    if not documents:
        raise UserError(f"{path} ({setting}) holds no documents")
    return documents


def read_prompts(path: Path, setting: str) -> list[str]:
    """The lines of a file, empty ones left out; `setting` is what names the file, for messages."""
    prompts = [line.strip() for line in content_of(path, setting, "a text file, one prompt a line").split("\n")]
    prompts = [p for p in prompts if p]
    if not prompts:
        raise UserError(f"{path} ({setting}) holds no prompts: one a line is wanted")
    return prompts


def content_of(path: Path, setting: str, wanted: str) -> str:
    """What a text file holds; raises UserError, which names the setting, where it is missing or not UTF-8."""
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path} is missing; {setting} names {wanted}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} ({setting}) is not UTF-8 (byte {error.start}); convert it first") from None


def from_lines(path: Path, content: str) -> Iterator[str]:
    """The texts of a JSONL file's lines; raises UserError, with its number, at one that has none."""
    # split("\n"), as splitlines would also part a document at U+2028 inside its JSON string
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)["text"]
        except (ValueError, KeyError, TypeError):
            text = None
        if not isinstance(text, str):
            raise UserError(f'{path}:{number}: each line must be a JSON object with a key "text"')
        yield text


def calibration(path: str, seed: int) -> list[str]:
    """The documents of quantize.calibration_text in an order that the seed gives."""
    return drawn(read_documents(Path(path), "quantize.calibration_text"), seed)


def drawn(documents: list[str], seed: int) -> list[str]:
    """The documents in an order that the seed gives."""
    order = np.random.default_rng(seed).permutation(len(documents))
    return [documents[i] for i in order]


@dataclass(frozen=True)
class Marks:
    """The ids around texts: `start` stands before each, None where the tokenizer adds none; `end` parts documents."""

    start: int | None
    end: int

    @classmethod
    def of(cls, model: Mapping[str, Any]) -> "Marks":
        """The marks of a model, by its description (model.json)."""
        return cls(model["start_token_id"] if model["add_start_token"] else None, int(model["end_token_id"]))


def windows(documents: list[str], bpe: tokenizers.Tokenizer, marks: Marks, length: int, most: int) -> Array:
    """Non-overlapping windows `[n, length]` of the documents' tokens, as the model was trained to read them.

    A start token stands before each window. A model without one reads an end token before each document.
    """
    fresh = length if marks.start is None else length - 1
    stream: list[int] = []
    for document in documents:
        ids = bpe.encode(document).ids
        stream += [marks.end, *ids] if marks.start is None else [*ids, marks.end]
        if len(stream) >= most * fresh:
            break
    count = min(len(stream) // fresh, most)
    if count == 0:
        raise UserError(f"the text has {len(stream)} tokens, less than one window of {length} (convert.cache_length)")
    found = np.array(stream[: count * fresh], np.int32).reshape(count, fresh)
    return found if marks.start is None else np.insert(found, 0, marks.start, axis=1)


def beginnings(documents: list[str], bpe: tokenizers.Tokenizer, tokens: int, most: int) -> list[str]:
    """The first `tokens` tokens of documents that are twice as long, as text that encodes to just these tokens."""
    found: list[str] = []
    for document in documents:
        ids = bpe.encode(document).ids
        if len(ids) < 2 * tokens:
            continue
        text = bpe.decode(ids[:tokens])
        if bpe.encode(text).ids == ids[:tokens]:
            found.append(text)
        if len(found) == most:
            break
    if not found:
        raise UserError(f"the evaluation text has no document of {2 * tokens} tokens; lower validate.prompt_tokens")
    return found
