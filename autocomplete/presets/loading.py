"""Loads models from disk: KerasHub presets, Hugging Face folders and GGUF files, each with its tokenizer.json."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras_hub
import tokenizers

from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json
from autocomplete.common.json_files import read_object
from autocomplete.model import families
from autocomplete.presets import gguf_model, huggingface, keras_import, keras_preset, safety, transformers_config
from autocomplete.presets.checkpoint import Checkpoint
from autocomplete.presets.settings import ALTERNATIVES, DESCRIPTION
from autocomplete.tokenizer import pre_tokenizers, tokenizer, tokenizer_json, unreachable_tokens

# The patterns with which the models were trained; KerasHub's tokenizers apply them inside of tf.data only.
_PATTERNS = {
    "GPT2Tokenizer": pre_tokenizers.GPT2,
    "OPTTokenizer": pre_tokenizers.GPT2,
    "GPTNeoXTokenizer": pre_tokenizers.GPT2,
    "Llama3Tokenizer": pre_tokenizers.LLAMA3,
    "QwenTokenizer": pre_tokenizers.QWEN,
    "Qwen3Tokenizer": pre_tokenizers.QWEN,
    "LlamaTokenizer": pre_tokenizers.SENTENCEPIECE,
    "MistralTokenizer": pre_tokenizers.SENTENCEPIECE,
    "GemmaTokenizer": pre_tokenizers.SENTENCEPIECE,
    "Gemma3Tokenizer": pre_tokenizers.SENTENCEPIECE,
}


@dataclass(frozen=True)
class LoadedModel:
    """A model with its tokenizer.

    Attributes:
      model: the Keras model; it has a preprocessor if it was loaded from a KerasHub preset that has one.
      tokenizer: a complete tokenizer.json.
      start_token_id: the id that stands before every text; None if the tokenizer adds none.
      end_token_ids: the ids that end a text.
      pad_token_id: the id of the padding token; None if there is none.
      context_length: number of positions.
      converted_from: the format that the model was converted from; None for a KerasHub preset.
      metadata: what the file says about itself: `name`, `license`.
    """

    model: keras_hub.models.CausalLM
    tokenizer: Mapping[str, Any]
    start_token_id: int | None
    end_token_ids: tuple[int, ...]
    pad_token_id: int | None
    context_length: int
    converted_from: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def load_tokenizer(self) -> tokenizers.Tokenizer:
        """The tokenizer. It adds no start token, and no text becomes a special token."""
        return tokenizer_json.load(self.tokenizer)


def load(path: Path) -> LoadedModel:
    """Loads a KerasHub preset, a Hugging Face folder or a GGUF file; checks all but the weights first.

    Raises:
      UserError: if it holds more than data, cannot be read, or would become another model than it describes.
    """
    try:
        return _load(path)
    except OSError as error:
        raise UserError(
            f"{error.filename or path} cannot be read ({error.strerror or error}); allowed: complete files that you "
            "have permission to read"
        ) from None


def _load(path: Path) -> LoadedModel:
    if path.is_file():
        return _import(gguf_model.read(path), path, "GGUF")
    if is_hugging_face_folder(path):
        safety.require_plain_data(path)
        return _import(huggingface.read(path), path, "Hugging Face")
    safety.require_plain_data(path)
    description = path / DESCRIPTION
    if (path / tokenizer.FILE).is_file() and description.is_file():
        return _load_authored(path, read_json(description))
    return _load_keras_preset(path)


def _import(checkpoint: Checkpoint, path: Path, format_name: str) -> LoadedModel:
    """Imports a model of another format."""
    backbone = keras_import.import_backbone(checkpoint, str(path))
    model_type = checkpoint.config["model_type"]
    return LoadedModel(
        model=keras_preset.to_causal_lm(backbone),
        tokenizer=checkpoint.tokenizer,
        start_token_id=checkpoint.start_token_id,
        end_token_ids=checkpoint.end_token_ids,
        pad_token_id=checkpoint.pad_token_id,
        context_length=transformers_config.context_length(checkpoint.config),
        converted_from=f"{format_name}'s {model_type}, by KerasHub {keras_hub.__version__}",
        metadata=checkpoint.metadata,
    )


def _load_authored(folder: Path, description: Mapping[str, Any]) -> LoadedModel:
    """Loads a preset that author wrote: KerasHub's backbone with a tokenizer.json."""
    content = tokenizer_json.complete(tokenizer.read_tokenizer_json(folder), "", str(folder / tokenizer.FILE))
    unreachable_tokens.require(content, str(folder / tokenizer.FILE))
    return LoadedModel(
        model=keras_preset.load(folder),
        tokenizer=content,
        start_token_id=description["start_token_id"] if description["add_start_token"] else None,
        end_token_ids=tuple(description["end_token_ids"]),
        pad_token_id=description["pad_token_id"],
        context_length=description["context_length"],
    )


def _load_keras_preset(folder: Path) -> LoadedModel:
    """Loads a KerasHub preset with KerasHub's own tokenizer, whose class tells the pattern."""
    model = keras_preset.load_task(folder)
    families.check_convertible(str(folder), type(model.backbone).__name__)
    if model.preprocessor is None:
        raise UserError(f"preset {str(folder)!r} has no tokenizer; {ALTERNATIVES}")
    loaded = from_keras_model(model)
    unreachable_tokens.require(loaded.tokenizer, str(folder))
    return loaded


def from_keras_model(model: keras_hub.models.CausalLM) -> LoadedModel:
    """A KerasHub model that has a preprocessor, with its tokenizer as tokenizer.json."""
    text = model.preprocessor.tokenizer
    with tempfile.TemporaryDirectory() as scratch:
        text.save_to_preset(scratch)
        content = tokenizer.keras_tokenizer_json(Path(scratch) / tokenizer.FOLDER, tokenizer_pattern(model))
    start, end, padding = (getattr(text, f"{name}_token_id", None) for name in ("start", "end", "pad"))
    second_end = getattr(text, "end_token2_id", None)  # of Llama 3's instruction-tuned models
    rows, tokens = model.backbone.vocabulary_size, keras_import.vocabulary_size(content)
    if rows > tokens:
        backbone = keras_import.truncate_vocabulary(model.backbone, tokens)
        model = type(model)(backbone=backbone, preprocessor=model.preprocessor)
    return LoadedModel(
        model=model,
        tokenizer=content,
        start_token_id=start if model.preprocessor.add_start_token else None,
        end_token_ids=tuple(dict.fromkeys(i for i in (end, second_end) if i is not None)),
        pad_token_id=padding,
        context_length=_context_length(model),
    )


def is_hugging_face_folder(folder: Path) -> bool:
    """Whether a folder is in Hugging Face's format; raises UserError if it is neither that nor a KerasHub preset."""
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"{folder} holds no config.json: not a KerasHub preset; {ALTERNATIVES}")
    config = read_object(path)
    if huggingface.is_transformers_config(config):
        return True
    if not isinstance(config.get("class_name"), str):
        raise UserError(
            f"{path} is not the configuration of a KerasHub preset (class_name), nor of a Hugging Face folder "
            f"(model_type); {ALTERNATIVES}"
        )
    families.check_convertible(str(folder), config["class_name"])
    return False


def tokenizer_pattern(model: keras_hub.models.CausalLM) -> str:
    """The name of the pattern (pre_tokenizers.py) of a KerasHub tokenizer."""
    name = type(model.preprocessor.tokenizer).__name__
    if name not in _PATTERNS:
        raise UserError(f"the preset has a {name}; tokenizers that can be converted: {', '.join(_PATTERNS)}")
    return _PATTERNS[name]


def _context_length(model: keras_hub.models.CausalLM) -> int:
    """The size of the position table; with rotary positions, the sequence length of the preprocessor."""
    positions = getattr(model.backbone, "max_sequence_length", None)
    return int(model.preprocessor.sequence_length if positions is None else positions)
