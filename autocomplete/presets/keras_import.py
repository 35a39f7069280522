"""Imports a checkpoint's weights into a KerasHub backbone by KerasHub's converters (private API of KerasHub 0.32)."""

import importlib
import math
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import keras_hub
import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.common.json_files import JsonObject, one_line
from autocomplete.common.progress import progress_bar
from autocomplete.model.families.llama import QWEN3_QK_NORM_EPSILON
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
# Matrices with a row for each id of the model, which may have more ids than the tokenizer.
_VOCABULARY_MATRICES = ("wte.weight", "embed_tokens.weight", "lm_head.weight")


def import_backbone(checkpoint: Checkpoint, source: str) -> keras_hub.models.Backbone:
    """The KerasHub backbone of a checkpoint, with the ids of its tokenizer alone.

    A model whose embeddings are padded to a multiple of 64 or 128 could otherwise generate ids without a token.

    Args:
      checkpoint: the model.
      source: its file or folder, for error messages.

    Raises:
      UserError: if the model lacks ids of the tokenizer, or a weight is not finite.
    """
    config = dict(checkpoint.config)
    tokens, rows = vocabulary_size(checkpoint.tokenizer), config["vocab_size"]
    if rows < tokens:
        raise UserError(
            f"{source}: vocab_size is {rows}, but the tokenizer has ids up to {tokens - 1}; take one that fits"
        )
    config["vocab_size"] = tokens
    model_type = config["model_type"]
    converter = importlib.import_module(f"keras_hub.src.utils.transformers.convert_{_CONVERTERS[model_type]}")
    backbone = _new_backbone(converter, config, source)
    with checkpoint.open() as tensors:
        loader = _Loader(tensors, config, source)
        try:
            with progress_bar("reading weights", len(tensors.names)) as show:
                loader.show = show
                converter.convert_weights(backbone, loader, config)
        except UserError:
            raise
        except Exception as error:  # converters raise exceptions of any type; the user needs one line
            detail = f"{type(error).__name__}: {one_line(error, 200)}"
            raise UserError(f"{source} cannot be loaded: {detail}; its weights do not fit its configuration") from None
        unread = sorted(tensors.names - loader.read)
    if unread:
        names = ", ".join(unread[:4])
        raise UserError(f"{source} cannot be loaded: KerasHub's converter of {model_type} does not read {names}")
    return backbone


def vocabulary_size(tokenizer: Mapping[str, Any]) -> int:
    """The number of ids of a complete tokenizer.json, gaps included."""
    return max(tokenizer_json.token_ids(tokenizer).values()) + 1


def truncate_vocabulary(backbone: keras_hub.models.Backbone, size: int) -> keras_hub.models.Backbone:
    """A copy of a backbone with the embeddings of its first `size` ids alone."""
    truncated = type(backbone).from_config(backbone.get_config() | {"vocabulary_size": size})
    for new, old in zip(truncated.weights, backbone.weights, strict=True):
        new.assign(np.asarray(old)[tuple(slice(length) for length in new.shape)])
    return truncated


def _new_backbone(converter: ModuleType, config: Mapping[str, Any], source: str) -> keras_hub.models.Backbone:
    """A backbone with newly initialized weights."""
    try:
        arguments = converter.convert_backbone_config(dict(config)) | _corrections(config)
        return getattr(keras_hub.models, MODEL_TYPES[config["model_type"]].backbone)(**arguments)
    except Exception as error:  # Keras raises exceptions of any type, all of them about the configuration
        detail = f"{type(error).__name__}: {one_line(error, 200)}"
        raise UserError(f"{source} cannot be loaded: {detail}; its config.json describes no valid model") from None


def _corrections(config: Mapping[str, Any]) -> JsonObject:
    """Arguments of the backbone that the converter does not set."""
    arguments: JsonObject = {"dropout": 0.0}
    if config["model_type"] == "llama":
        arguments["layer_norm_epsilon"] = config["rms_norm_eps"]
    return arguments


def _weight_factors(config: Mapping[str, Any]) -> dict[str, float]:
    """Factors of weights, by the ends of their names.

    KerasHub 0.32 normalizes Qwen 3's queries and keys with a fixed epsilon instead of `rms_norm_eps` (ε). Their
    projections are scaled so that the result is the same: x·s/√(mean(x²)·s² + ε) = x/√(mean(x²) + ε/s²).
    """
    if config["model_type"] != "qwen3":
        return {}
    factor = math.sqrt(QWEN3_QK_NORM_EPSILON / config["rms_norm_eps"])
    return {"q_proj.weight": factor, "k_proj.weight": factor}


class _Float32Array(np.ndarray):  # type: ignore[type-arg]
    """An array that stays float32 where KerasHub's converter of Mistral rounds to float16."""

    def astype(self, dtype: Any, *arguments: Any, **options: Any) -> Any:
        return self if dtype is np.float16 else super().astype(dtype, *arguments, **options)


class _Loader:
    """The source of weights for KerasHub's converters, with the interface of KerasHub's SafetensorLoader."""

    def __init__(self, tensors: Tensors, config: Mapping[str, Any], source: str) -> None:
        self.tensors, self.vocabulary_size, self.source = tensors, config["vocab_size"], source
        self.model_type, self.factors = config["model_type"], _weight_factors(config)
        self.read: set[str] = set()
        self.show: Callable[[int, str], None] = lambda done, note: None

    def get_tensor(self, name: str) -> Array:
        with np.errstate(over="ignore"):  # a float64 beyond float32's range becomes infinite, and is refused below
            tensor = np.asarray(self.tensors.get_tensor(name), np.float32)
        self.read.add(self.tensors.full_name(name))
        self.show(len(self.read), "weights")
        if not np.isfinite(tensor).all():
            raise UserError(
                f"{self.source}: {name} holds numbers that are not finite (NaN, infinity); download it again"
            )
        if name.endswith(_VOCABULARY_MATRICES):
            tensor = tensor[: self.vocabulary_size]
        factor = next((f for end, f in self.factors.items() if name.endswith(end)), None)
        tensor = tensor if factor is None else tensor * np.float32(factor)
        return tensor.view(_Float32Array) if self.model_type == "mistral" else tensor

    def port_weight(self, keras_variable: Any, hf_weight_key: str, hook_fn: Callable[..., Array] | None = None) -> None:
        tensor = self.get_tensor(hf_weight_key)
        value = hook_fn(tensor, list(keras_variable.shape)) if hook_fn else tensor
        keras_variable.assign(np.asarray(value))
