"""Text for evaluation and calibration: reads documents, and cuts them into windows of tokens and into prompts."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers

from autocomplete.common.arrays import Array
from autocomplete.common.artifacts import Calibration, ModelDescription
from autocomplete.common.errors import UserError


def read_documents(path: Path, setting: str) -> list[str]:
    """The documents of a JSONL file (objects with `text`) or of a plain text file (separated by blank lines).

    Args:
      path: the file.
      setting: the configuration key that names the file, for error messages.

    Raises:
      UserError: for a file that is missing, not UTF-8, malformed, or without documents.
    """
    content = read_text(path, setting, "a .jsonl or .txt file")
    if path.suffix == ".jsonl":
        documents = list(parse_jsonl(path, content))
    else:
        documents = [part.strip() for part in re.split(r"\n\s*\n", content)]
    documents = [d for d in documents if d]
    if not documents:
        raise UserError(f"{path} ({setting}) holds no documents")
    return documents


def read_prompts(path: Path, setting: str) -> list[str]:
    """The lines of a file that are not empty; `setting` is the key that names the file, for error messages."""
    lines = [line.strip() for line in read_text(path, setting, "a text file, one prompt a line").split("\n")]
    prompts = [line for line in lines if line]
    if not prompts:
        raise UserError(f"{path} ({setting}) holds no prompts; allowed: a text file with one prompt a line")
    return prompts


def read_text(path: Path, setting: str, wanted: str) -> str:
    """The content of a text file.

    Args:
      path: the file.
      setting: the configuration key that names the file, for error messages.
      wanted: what the key may name, for error messages.

    Raises:
      UserError: for a file that is missing or not UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path} is missing; {setting} names {wanted}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} ({setting}) is not UTF-8 (byte {error.start}); convert it first") from None


def parse_jsonl(path: Path, content: str) -> Iterator[str]:
    """The `text` of each line of a JSONL file; raises UserError, with the line's number, for a line without one."""
    # not splitlines, which also splits a document at U+2028 inside its JSON string
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


def calibration_documents(path: str, seed: int) -> list[str]:
    """The documents of quantize.calibration_text in an order that depends on the seed alone."""
    return shuffled(read_documents(Path(path), "quantize.calibration_text"), seed)


def shuffled(documents: list[str], seed: int) -> list[str]:
    """The documents in an order that depends on the seed alone."""
    order = np.random.default_rng(seed).permutation(len(documents))
    return [documents[i] for i in order]


@dataclass(frozen=True)
class BoundaryTokens:
    """The token ids at the boundaries of texts.

    Attributes:
      start_token_id: stands before each text; None if the tokenizer adds none.
      end_token_id: separates documents.
    """

    start_token_id: int | None
    end_token_id: int

    @classmethod
    def from_description(cls, model: ModelDescription) -> "BoundaryTokens":
        """The boundary tokens of a model by its description (model.json)."""
        return cls(model.start, model.end_token_id)


def windows(
    documents: list[str], bpe: tokenizers.Tokenizer, boundary_tokens: BoundaryTokens, length: int, limit: int
) -> Array:
    """Windows of the documents' tokens that do not overlap, in the form in which the model was trained.

    A start token stands before each window. Without a start token, an end token stands before each document.

    Args:
      documents: the texts.
      bpe: the model's tokenizer.
      boundary_tokens: the model's start and end tokens.
      length: tokens of a window.
      limit: the largest number of windows.

    Returns:
      Token ids, int32 `[windows, length]`.

    Raises:
      UserError: for texts that do not fill one window.
    """
    start, end = boundary_tokens.start_token_id, boundary_tokens.end_token_id
    text_length = length if start is None else length - 1
    stream: list[int] = []
    for document in documents:
        ids = bpe.encode(document).ids
        stream += [end, *ids] if start is None else [*ids, end]
        if len(stream) >= limit * text_length:
            break
    count = min(len(stream) // text_length, limit)
    if count == 0:
        raise UserError(f"the text has {len(stream)} tokens, less than one window of {length} (convert.cache_length)")
    tokens = np.array(stream[: count * text_length], np.int32).reshape(count, text_length)
    return tokens if start is None else np.insert(tokens, 0, start, axis=1)


def calibration_windows(
    path: str, calibration: Calibration, bpe: tokenizers.Tokenizer, boundary_tokens: BoundaryTokens, length: int
) -> list[list[int]]:
    """The token sequences that a recipe is calibrated with: windows of `length` of quantize.calibration_text."""
    documents = calibration_documents(path, calibration.seed)
    sequences: list[list[int]] = windows(documents, bpe, boundary_tokens, length, calibration.sequences).tolist()
    return sequences


def completion_prompts(documents: list[str], bpe: tokenizers.Tokenizer, tokens: int, limit: int) -> list[str]:
    """Prompts of exactly `tokens` tokens from the beginnings of documents that are at least twice as long.

    Each prompt encodes to just these tokens again.

    Raises:
      UserError: if no document yields a prompt.
    """
    prompts: list[str] = []
    for document in documents:
        ids = bpe.encode(document).ids
        if len(ids) < 2 * tokens:
            continue
        text = bpe.decode(ids[:tokens])
        if bpe.encode(text).ids == ids[:tokens]:
            prompts.append(text)
        if len(prompts) == limit:
            break
    if not prompts:
        raise UserError(f"the evaluation text has no document of {2 * tokens} tokens; lower validate.prompt_tokens")
    return prompts
