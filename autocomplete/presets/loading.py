"""Models from disk: KerasHub presets, Hugging Face folders and GGUF files, each with its tokenizer.json."""

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
from autocomplete.tokenizer import pre_tokenizers, tokenizer, tokenizer_json

# How the models were trained; KerasHub's own tokenizers do not cut texts into words outside of tf.data.
_TOKENIZERS = {
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
class Loaded:
    """A model, its tokenizer, and what begins and ends its texts.

    `model` has KerasHub's own preprocessor where it came as a KerasHub preset, else none. `tokenizer` is a completed
    tokenizer.json, `converted_from` and `named` tell of a foreign format.
    """

    model: keras_hub.models.CausalLM
    tokenizer: Mapping[str, Any]
    start: int | None
    ends: tuple[int, ...]
    padding: int | None
    context_length: int
    converted_from: str | None = None
    named: Mapping[str, str] = field(default_factory=dict)

    def bpe(self) -> tokenizers.Tokenizer:
        """The tokenizer; text never becomes a special token, and none is put before it."""
        return tokenizer_json.load(self.tokenizer)


def load(place: Path) -> Loaded:
    """Loads a KerasHub preset, a Hugging Face folder or a GGUF file, after a look at all that is not a weight.

    Raises:
      UserError: where it holds more than data, cannot be read, or would become another model than it says.
    """
    try:
        return _load(place)
    except OSError as error:
        raise UserError(
            f"{error.filename or place} cannot be read ({error.strerror or error}); allowed: what you may read, whole"
        ) from None


def _load(place: Path) -> Loaded:
    if place.is_file():
        return _foreign(gguf_model.read(place), place, "GGUF")
    if is_foreign(place):
        safety.check(place)
        return _foreign(huggingface.read(place), place, "Hugging Face")
    safety.check(place)
    described = place / DESCRIPTION
    if (place / tokenizer.FILE).is_file() and described.is_file():
        return _authored(place, read_json(described))
    return _native(place)


def _foreign(checkpoint: Checkpoint, place: Path, format_name: str) -> Loaded:
    kind = checkpoint.config["model_type"]
    backbone = keras_import.backbone(checkpoint, str(place))
    return Loaded(
        keras_preset.causal_lm(backbone),
        checkpoint.tokenizer,
        checkpoint.start,
        checkpoint.ends,
        checkpoint.padding,
        transformers_config.context_length(checkpoint.config),
        f"{format_name}'s {kind}, by KerasHub {keras_hub.__version__}",
        checkpoint.named,
    )


def _authored(folder: Path, described: Mapping[str, Any]) -> Loaded:
    """What author wrote: KerasHub's backbone, and a tokenizer.json of its own."""
    content = tokenizer_json.complete(tokenizer.read_tokenizer_json(folder), "", str(folder / tokenizer.FILE))
    return Loaded(
        keras_preset.load(folder),
        content,
        described["start_token_id"] if described["add_start_token"] else None,
        tuple(described["end_token_ids"]),
        described["pad_token_id"],
        described["context_length"],
    )


def _native(folder: Path) -> Loaded:
    """A KerasHub preset with KerasHub's own tokenizer, which says how its texts are cut."""
    model = keras_preset.whole(folder)
    families.check(str(folder), type(model.backbone).__name__)
    if model.preprocessor is None:
        raise UserError(f"preset {str(folder)!r} has no tokenizer; {ALTERNATIVES}")
    return loaded(model)


def loaded(model: keras_hub.models.CausalLM) -> Loaded:
    """A KerasHub model with its preprocessor, its tokenizer as a tokenizer.json."""
    text = model.preprocessor.tokenizer
    with tempfile.TemporaryDirectory() as scratch:
        text.save_to_preset(scratch)
        content = tokenizer.keras_tokenizer_json(Path(scratch) / tokenizer.FOLDER, tokenizer_kind(model))
    start, end, padding = (getattr(text, f"{name}_token_id", None) for name in ("start", "end", "pad"))
    other_ends = getattr(text, "end_token2_id", None)  # Llama 3's of instruction-tuned models
    ends = tuple(dict.fromkeys(i for i in (end, other_ends) if i is not None))
    rows, tokens = model.backbone.vocabulary_size, keras_import.vocabulary_size(content)
    if rows > tokens:
        model = type(model)(backbone=keras_import.cut(model.backbone, tokens), preprocessor=model.preprocessor)
    begins = start if model.preprocessor.add_start_token else None
    return Loaded(model, content, begins, ends, padding, _context_length(model))


def is_foreign(folder: Path) -> bool:
    """Whether a folder is Hugging Face's; raises UserError where it is neither that nor KerasHub's."""
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"{folder} holds no config.json: not a KerasHub preset; {ALTERNATIVES}")
    config = read_object(path)
    if huggingface.is_foreign(config):
        return True
    if not isinstance(config.get("class_name"), str):
        raise UserError(
            f"{path} is not the configuration of a KerasHub preset (class_name), nor of a Hugging Face folder "
            f"(model_type); {ALTERNATIVES}"
        )
    families.check(str(folder), config["class_name"])
    return False


def tokenizer_kind(model: keras_hub.models.CausalLM) -> str:
    """How a KerasHub tokenizer's model cuts a text into words: a row of autocomplete/tokenizer/pre_tokenizers.py."""
    name = type(model.preprocessor.tokenizer).__name__
    if name not in _TOKENIZERS:
        raise UserError(f"the preset has a {name}; tokenizers that can be converted: {', '.join(_TOKENIZERS)}")
    return _TOKENIZERS[name]


def _context_length(model: keras_hub.models.CausalLM) -> int:
    """The rows of the table of positions, or how long a text the preprocessor makes where positions are rotary."""
    learned = getattr(model.backbone, "max_sequence_length", None)
    return int(model.preprocessor.sequence_length if learned is None else learned)
