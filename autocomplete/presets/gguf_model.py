"""Reads a GGUF file (llama.cpp's format) as a checkpoint with the names and the weight layout of transformers.

It undoes what llama.cpp's convert_hf_to_gguf.py does to the weights.
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
from autocomplete.common.json_files import one_line
from autocomplete.presets import (
    checkpoint,
    gguf_config,
    gguf_file,
    gguf_tokenizer,
    safetensors_files,
    transformers_config,
    weight_shapes,
)
from autocomplete.presets.gguf_file import TensorInfo, shown

_HEAD, _EMBEDDINGS, _ROPE = "output.weight", "token_embd.weight", "rope_freqs.weight"
_OPTIONAL = {"gpt2": _HEAD, "llama": _ROPE}  # an optional tensor of an architecture that becomes no weight
_TIED = ("gpt2", "gemma", "gemma2", "gemma3")  # architectures whose head is the embedding table
_COMPARED_ROWS = 64  # of GPT-2's head and embedding table
_LONGEST_NAME = 200  # characters of what a file says about itself
_TOLERANCE = 0.35  # relative to the norm of those rows; Q2_K's error is 0.2, that of independent matrices 1.4


def read(path: Path) -> checkpoint.Checkpoint:
    """The checkpoint of a GGUF file of a causal language model; reads a few rows of the weights at most.

    Supported are Llama (also Mistral), Qwen 2 and 3, GPT-2, and Gemma 1 to 3, in one file, without experts, and with
    rope unscaled or scaled like Llama 3.1's.

    Raises:
      UserError: with file, key and value, for a file that is damaged or not supported.
    """
    metadata, tensors = gguf_file.read_header(path)
    arch = gguf_config.read_architecture(metadata)
    rows = tensors[_EMBEDDINGS].shape[0] if _EMBEDDINGS in tensors else 0
    config = gguf_config.read_config(metadata, rows, arch in _TIED or _HEAD not in tensors, len(tensors))
    tensor_names = _tensor_names(path, arch, config, tensors)
    with path.open("rb") as file:
        if arch == "gpt2" and _HEAD in tensors:
            _require_tied_head(file, tensors)
        if arch == "llama" and _ROPE in tensors:
            divisors = gguf_file.read_tensor(file, _ROPE, tensors[_ROPE])
            config["rope_scaling"] = gguf_config.llama3_rope_scaling(divisors, config, f"{path}: tensor {_ROPE}")
    config = transformers_config.complete(config, str(path))
    tokenizer = gguf_tokenizer.read(metadata)
    if tokenizer.size != rows:
        raise UserError(
            f"{path}: tokenizer.ggml.tokens has {tokenizer.size} tokens; allowed: {rows}, the rows of {_EMBEDDINGS}"
        )
    general = {name: metadata.get(f"general.{name}", str, "") for name in ("name", "license")}
    return checkpoint.Checkpoint(
        config=config,
        tokenizer=tokenizer.content,
        start_token_id=tokenizer.start_token_id,
        end_token_ids=tokenizer.end_token_ids,
        pad_token_id=tokenizer.pad_token_id,
        open=functools.partial(_open_weights, path, tensors, config, tensor_names),
        metadata={name: one_line(text, _LONGEST_NAME) for name, text in general.items() if text.strip()},
    )


def _tensor_names(
    path: Path, arch: str, config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]
) -> dict[str, str]:
    """The name in the file of each weight, by transformers' name.

    Checks that the file holds all weights, in the shapes that its keys require, and no other tensors.
    """
    layers = config["n_layer" if arch == "gpt2" else "num_hidden_layers"]
    name_map = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], layers)
    shapes = weight_shapes.weight_shapes(config)
    names = {name: str(name_map.get_name(name, (".weight", ".bias"))) for name in shapes}
    for name, shape in shapes.items():
        stored = names[name]
        if stored not in tensors:
            raise UserError(f"{path} has no tensor {stored}, which a {arch} of {layers} layers has; download it again")
        if tensors[stored].shape != shape:
            raise UserError(
                f"{path}: tensor {stored} has the shape {tensors[stored].shape}; allowed by its keys: {shape}"
            )
    optional = _OPTIONAL.get(arch, "")
    surplus = [name for name in tensors if name not in names.values() and name != optional]
    if surplus:
        raise UserError(f"{path}: tensor {shown(surplus[0])} is none of a {arch} of {layers} layers; allowed: no other")
    if optional in tensors:
        expected = tensors[_EMBEDDINGS].shape if optional == _HEAD else (config.get("head_dim", 0) // 2,)
        shape = tensors[optional].shape
        if shape != expected:
            raise UserError(f"{path}: tensor {optional} has the shape {shape}; allowed by its keys: {expected}")
    return names


def _require_tied_head(file: BinaryIO, tensors: Mapping[str, TensorInfo]) -> None:
    """Checks that GPT-2's head, which older files hold, is the embedding table; it may be quantized otherwise."""
    head, embeddings = (
        gguf_file.read_tensor(file, name, replace(tensors[name], shape=(min(_COMPARED_ROWS, rows), width)))
        for name, (rows, width) in ((name, tensors[name].shape) for name in (_HEAD, _EMBEDDINGS))
    )
    if not np.linalg.norm(head - embeddings) <= _TOLERANCE * np.linalg.norm(embeddings):
        raise UserError(
            f"{file.name}: tensor {_HEAD} is not equal to {_EMBEDDINGS}; allowed for gpt2: the same matrix, or none"
        )


@contextlib.contextmanager
def _open_weights(
    path: Path, tensors: Mapping[str, TensorInfo], config: Mapping[str, Any], tensor_names: Mapping[str, str]
) -> Iterator["GgufWeights"]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise UserError(f"{path} can no longer be read ({error.strerror})") from None
    with file:
        yield GgufWeights(file, tensors, config, tensor_names)


class GgufWeights:
    """The open file of a model; reads and dequantizes a weight on request, and does not keep it."""

    def __init__(
        self,
        file: BinaryIO,
        tensors: Mapping[str, TensorInfo],
        config: Mapping[str, Any],
        tensor_names: Mapping[str, str],
    ) -> None:
        self._file, self._tensors, self._config, self._tensor_names = file, tensors, config, tensor_names
        self.names = frozenset(tensor_names)

    def full_name(self, name: str) -> str:
        """Transformers' name of a weight, given with or without its prefix; raises KeyError if there is none."""
        return safetensors_files.full_name(name, self._tensor_names)

    def get_tensor(self, name: str) -> Array:
        """A weight as float32, in transformers' layout, by transformers' name with or without its prefix.

        Raises:
          KeyError: if the model has no such weight.
          UserError: if the file changed since its header was read.
        """
        stored = self._tensor_names[self.full_name(name)]
        return self._to_transformers_layout(stored, gguf_file.read_tensor(self._file, stored, self._tensors[stored]))

    def _to_transformers_layout(self, name: str, values: Array) -> Array:
        """Undoes what llama.cpp's converter does to a tensor."""
        kind, part = self._config["model_type"], name.split(".")[-2]
        heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}.get(part)
        if kind == "llama" and heads:
            # rope rotates pairs of numbers: neighbours in GGUF, half a head apart in transformers
            pairs = values.reshape(self._config[heads], -1, 2, values.shape[1])
            return pairs.swapaxes(1, 2).reshape(values.shape)
        if kind == "gpt2" and values.ndim == 2 and name.startswith("blk."):
            return np.ascontiguousarray(values.T)  # transformers' Conv1D is [in, out]
        if kind.startswith("gemma") and part.endswith("norm"):
            return values - 1  # a norm multiplies by its weight in GGUF, by 1 + its weight in transformers
        return values
