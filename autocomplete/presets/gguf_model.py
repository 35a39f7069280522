"""A GGUF file, llama.cpp's, as a checkpoint in Hugging Face's words: its weights by their names and in their layout.

What llama.cpp's convert_hf_to_gguf.py does to weights is undone.
"""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import gguf
import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.presets import checkpoint, gguf_config, gguf_file, gguf_tokenizer, transformers_config, weight_shapes
from autocomplete.presets.gguf_file import Tensor, shown

_HEAD, _TABLE, _ROPE = "output.weight", "token_embd.weight", "rope_freqs.weight"
_OPTIONAL = {"gpt2": _HEAD, "llama": _ROPE}  # tensors that become no weight, by architecture
_TIED = ("gpt2", "gemma", "gemma2", "gemma3")  # architectures whose head is their table of embeddings
_ROWS = 64  # of GPT-2's head, compared with its table of embeddings
_ERROR = 0.35  # of the length of those rows; Q2_K's is 0.2, that of independent matrices 1.4


def read(path: Path) -> checkpoint.Checkpoint:
    """A GGUF file of a causal language model, of whose weights at most a few rows are read yet.

    Raises:
      UserError: naming file, key and value, for a file that is damaged or holds what is not done here. Allowed are
        Llama (also Mistral), Qwen 2 and 3, GPT-2, and Gemma 1 to 3, whole and dense, with rope unscaled or Llama 3.1's.
    """
    metadata, tensors = gguf_file.read_header(path)
    arch = gguf_config.architecture(metadata)
    rows = tensors[_TABLE].shape[0] if _TABLE in tensors else 0
    config = gguf_config.config_of(metadata, rows, arch in _TIED or _HEAD not in tensors, len(tensors))
    places = _places(path, arch, config, tensors)
    with path.open("rb") as file:
        if arch == "gpt2" and _HEAD in tensors:
            _check_copy(file, tensors)
        if arch == "llama" and _ROPE in tensors:
            divisors = gguf_file.dequantized(file, _ROPE, tensors[_ROPE])
            config["rope_scaling"] = gguf_config.rope_scaling(divisors, config, f"{path}: tensor {_ROPE}")
    config = transformers_config.completed(config, str(path))
    told = gguf_tokenizer.read(metadata)
    if told.size != rows:
        raise UserError(f"{path}: tokenizer.ggml.tokens has {told.size} tokens; allowed: {rows}, the rows of {_TABLE}")
    named = {name: metadata.get(f"general.{name}", str, "") for name in ("name", "license")}
    return checkpoint.Checkpoint(
        config=config,
        tokenizer=told.content,
        start=told.start,
        ends=told.ends,
        padding=told.padding,
        open=functools.partial(_opened, path, tensors, config, places),
        named={name: text for name, text in named.items() if text},
    )


def _places(path: Path, arch: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The tensor of each weight, by transformers' name; all are there, of the keys' shapes, and no others."""
    layers = config["n_layer" if arch == "gpt2" else "num_hidden_layers"]
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], layers)
    shapes = weight_shapes.shapes_of(config)
    places = {name: str(names.get_name(name, (".weight", ".bias"))) for name in shapes}
    for name, shape in shapes.items():
        found = places[name]
        if found not in tensors:
            raise UserError(f"{path} has no tensor {found}, which a {arch} of {layers} layers has; download it again")
        if tensors[found].shape != shape:
            raise UserError(
                f"{path}: tensor {found} has the shape {tensors[found].shape}; allowed by its keys: {shape}"
            )
    optional = _OPTIONAL.get(arch, "")
    more = [name for name in tensors if name not in places.values() and name != optional]
    if more:
        raise UserError(f"{path}: tensor {shown(more[0])} is none of a {arch} of {layers} layers; allowed: no other")
    rest = tensors.get(optional)
    wanted = tensors[_TABLE].shape if optional == _HEAD else (config.get("head_dim", 0) // 2,)
    if rest is not None and rest.shape != wanted:
        raise UserError(f"{path}: tensor {optional} has the shape {rest.shape}; allowed by its keys: {wanted}")
    return places


def _check_copy(file: BinaryIO, tensors: Mapping[str, Tensor]) -> None:
    """GPT-2's head, which older files have, is its table of embeddings, though it may be quantized otherwise."""
    head, table = (
        gguf_file.dequantized(file, name, replace(tensors[name], shape=(min(_ROWS, rows), width)))
        for name, (rows, width) in ((name, tensors[name].shape) for name in (_HEAD, _TABLE))
    )
    if not np.linalg.norm(head - table) <= _ERROR * np.linalg.norm(table):
        raise UserError(
            f"{file.name}: tensor {_HEAD} is not {_TABLE} again; allowed for gpt2: the same matrix, or none"
        )


@contextlib.contextmanager
def _opened(
    path: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any], places: Mapping[str, str]
) -> Iterator["Weights"]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise UserError(f"{path} cannot be read any more ({error.strerror})") from None
    with file:
        yield Weights(file, tensors, config, places)


class Weights:
    """The open file of a model: each weight is read and dequantized when it is asked for, and not kept."""

    def __init__(
        self, file: BinaryIO, tensors: Mapping[str, Tensor], config: Mapping[str, Any], places: Mapping[str, str]
    ) -> None:
        self._file, self._tensors, self._config, self._places = file, tensors, config, places
        self.names = frozenset(places)

    def full_name(self, name: str) -> str:
        """Transformers' name of a weight, given with or without its prefix; raises KeyError for no weight."""
        for full in (name, f"model.{name}", f"transformer.{name}", name.removeprefix("model.")):
            if full in self._places:
                return full
        raise KeyError(f"no weight {name}")

    def get_tensor(self, name: str) -> Array:
        """A weight in float32 by transformers' name, with or without its prefix, in its layout.

        Raises:
          KeyError: where the model has no such weight.
          UserError: where the file changed since its metadata were read.
        """
        found = self._places[self.full_name(name)]
        return self._undone(found, gguf_file.dequantized(self._file, found, self._tensors[found]))

    def _undone(self, name: str, values: Array) -> Array:
        """A tensor as it was before llama.cpp's converter had it."""
        kind, part = self._config["model_type"], name.split(".")[-2]
        heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}.get(part)
        if kind == "llama" and heads:
            # there the two numbers that rope turns together are neighbours, in transformers half a head apart
            pairs = values.reshape(self._config[heads], -1, 2, values.shape[1])
            return pairs.swapaxes(1, 2).reshape(values.shape)
        if kind == "gpt2" and values.ndim == 2 and name.startswith("blk."):
            return np.ascontiguousarray(values.T)  # transformers' Conv1D is [in, out]
        if kind.startswith("gemma") and part.endswith("norm"):
            return values - 1  # there a norm multiplies by its weight, in transformers by 1 + its weight
        return values
