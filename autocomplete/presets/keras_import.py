"""Weights of a foreign model into a KerasHub backbone, by KerasHub's converters (private parts of KerasHub 0.31)."""

import importlib
import math
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import keras_hub
import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.common.progress import progress_bar
from autocomplete.model.families.qwen3 import QWEN3_HEAD_EPSILON
from autocomplete.presets.checkpoint import Checkpoint, Tensors
from autocomplete.presets.model_types import MODEL_TYPES
from autocomplete.tokenizer import tokenizer_json

_CONVERTERS = {
    "gpt2": "gpt2",
    "llama": "llama3",
    "mistral": "mistral",
    "qwen2": "qwen",
    "qwen3": "qwen3",
    "gemma": "gemma",
    "gemma2": "gemma",
    "gemma3_text": "gemma3",
}
# One row for each token of the model, which may be more than the tokenizer has.
_BY_TOKEN = ("wte.weight", "embed_tokens.weight", "lm_head.weight")


def backbone(checkpoint: Checkpoint, place: str) -> keras_hub.models.Backbone:
    """The KerasHub backbone of a checkpoint, cut to the tokens of its tokenizer.

    A model whose embeddings are padded, to a multiple of 64 or 128, could say ids that stand for nothing.

    Raises:
      UserError: where the tokenizer has ids that the model has not, or a weight is not finite.
    """
    config = dict(checkpoint.config)
    tokens, rows = vocabulary_size(checkpoint.tokenizer), config["vocab_size"]
    if rows < tokens:
        raise UserError(
            f"{place}: vocab_size is {rows}, but the tokenizer has ids up to {tokens - 1}; take one that fits"
        )
    config["vocab_size"] = tokens
    kind = config["model_type"]
    converter = importlib.import_module(f"keras_hub.src.utils.transformers.convert_{_CONVERTERS[kind]}")
    made = _built(converter, config, place)
    with checkpoint.open() as tensors:
        loader = _Loader(tensors, config, place)
        try:
            with progress_bar("reading weights", len(tensors.names)) as show:
                loader.show = show
                converter.convert_weights(made, loader, config)
        except UserError:
            raise
        except Exception as error:  # a converter raises whatever it likes; the user needs one line
            detail = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise UserError(f"{place} cannot be loaded: {detail}; its weights do not fit its configuration") from None
        left = sorted(tensors.names - loader.read)
    if left:
        raise UserError(f"{place} cannot be loaded: KerasHub's converter of {kind} does not read {', '.join(left[:4])}")
    return made


def vocabulary_size(tokenizer: Mapping[str, Any]) -> int:
    """How many ids a completed tokenizer.json has, holes included."""
    return max(tokenizer_json.token_ids(tokenizer).values()) + 1


def cut(whole: keras_hub.models.Backbone, tokens: int) -> keras_hub.models.Backbone:
    """A backbone with the embeddings of its first `tokens` ids alone."""
    made = type(whole).from_config(whole.get_config() | {"vocabulary_size": tokens})
    for new, old in zip(made.weights, whole.weights, strict=True):
        value, places = np.asarray(old), tuple(slice(size) for size in new.shape)
        new.assign(value[places])
    return made


def _built(converter: ModuleType, config: Mapping[str, Any], place: str) -> keras_hub.models.Backbone:
    """The backbone with weights of its own still."""
    try:
        arguments = converter.convert_backbone_config(dict(config)) | _corrections(config)
        return getattr(keras_hub.models, MODEL_TYPES[config["model_type"]].backbone)(**arguments)
    except Exception as error:  # whatever Keras raises is about the configuration
        detail = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise UserError(f"{place} cannot be loaded: {detail}; its config.json makes no model") from None


def _corrections(config: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the backbone that the converter leaves at its own values."""
    found: dict[str, Any] = {"dropout": 0.0}
    if config["model_type"] == "llama":
        found["layer_norm_epsilon"] = config["rms_norm_eps"]
    return found


def _factors(config: Mapping[str, Any]) -> dict[str, float]:
    """What weights are multiplied by, by the ends of their names.

    KerasHub 0.31 norms Qwen 3's queries and keys with an epsilon of its own, whatever `rms_norm_eps` says: what goes in
    is scaled so that it means the model's, as x·s/√(mean(x²)·s² + ε) = x/√(mean(x²) + ε/s²).
    """
    if config["model_type"] != "qwen3":
        return {}
    factor = math.sqrt(QWEN3_HEAD_EPSILON / config["rms_norm_eps"])
    return {"q_proj.weight": factor, "k_proj.weight": factor}


class _Unrounded(np.ndarray):  # type: ignore[type-arg]
    """An array that stays float32 where KerasHub's converter of Mistral rounds to float16."""

    def astype(self, dtype: Any, *arguments: Any, **named: Any) -> Any:
        return self if dtype is np.float16 else super().astype(dtype, *arguments, **named)


class _Loader:
    """What KerasHub's converters read weights from: KerasHub's SafetensorLoader in their eyes."""

    def __init__(self, tensors: Tensors, config: Mapping[str, Any], place: str) -> None:
        self.tensors, self.tokens, self.place = tensors, config["vocab_size"], place
        self.kind, self.factors = config["model_type"], _factors(config)
        self.read: set[str] = set()
        self.show: Callable[[int, str], None] = lambda done, what: None

    def get_tensor(self, name: str) -> Array:
        with np.errstate(over="ignore"):  # float64's, which are infinite then
            found = np.asarray(self.tensors.get_tensor(name), np.float32)
        self.read.add(self.tensors.full_name(name))
        self.show(len(self.read), "weights")
        if not np.isfinite(found).all():
            raise UserError(
                f"{self.place}: {name} holds numbers that are not finite (NaN, infinity); download it again"
            )
        found = found[: self.tokens] if name.endswith(_BY_TOKEN) else found
        factor = next((f for end, f in self.factors.items() if name.endswith(end)), None)
        found = found if factor is None else found * np.float32(factor)
        return found.view(_Unrounded) if self.kind == "mistral" else found

    def port_weight(self, keras_variable: Any, hf_weight_key: str, hook_fn: Callable[..., Array] | None = None) -> None:
        found = self.get_tensor(hf_weight_key)
        value = hook_fn(found, list(keras_variable.shape)) if hook_fn else found
        keras_variable.assign(np.asarray(value))
