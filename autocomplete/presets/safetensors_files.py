"""Reads weights from one or several safetensors files; checks all headers before it reads a weight."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  # registers bfloat16 with NumPy, from which safetensors requests it
import numpy as np
import safetensors

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.common.json_files import one_line, plain, read_object, shown
from autocomplete.presets import weight_shapes
from autocomplete.presets.checkpoint import Tensors

_INDEX, _SINGLE_FILE = "model.safetensors.index.json", "model.safetensors"
_DTYPES = ("F32", "BF16", "F16", "F64")  # by safetensors' names
# Constants that older files hold beside the weights: attention masks and rotary frequencies.
_CONSTANTS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
_HEAD = "lm_head.weight"
_LONGEST_NAME = 255  # of a file, on any file system


@dataclass(frozen=True)
class StoredTensor:
    """The file of a weight, and its entry in the header there."""

    path: Path
    dtype: str
    shape: tuple[int, ...]


def read_headers(folder: Path) -> dict[str, StoredTensor]:
    """Every weight in a folder, by name; raises UserError if a file is missing or incomplete."""
    file_names = _read_index(folder)
    tensors: dict[str, StoredTensor] = {}
    for path in sorted({folder / name for name in file_names.values()}) or [folder / _SINGLE_FILE]:
        with _open_file(path) as file:
            for name in file.keys():  # noqa: SIM118
                if name in tensors:
                    raise UserError(
                        f"{tensors[name].path} and {path.name} both hold {shown(name)}; allowed: one of them"
                    )
                header = file.get_slice(name)
                tensors[name] = StoredTensor(path, header.get_dtype(), tuple(header.get_shape()))
    for name, file_name in file_names.items():
        if name not in tensors or tensors[name].path.name != file_name:
            raise UserError(f"{folder / file_name} lacks {plain(name)}, which {_INDEX} lists there; download it again")
    return tensors


def _read_index(folder: Path) -> dict[str, str]:
    """The file of each weight, by the index of a model in several files; empty if there is a single file."""
    if (folder / _SINGLE_FILE).is_file():
        return {}
    if not (folder / _INDEX).is_file():
        raise UserError(
            f"{folder} has neither {_SINGLE_FILE} nor {_INDEX}: author reads weights from safetensors alone"
        )
    weight_map = read_object(folder / _INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UserError(
            f"{folder / _INDEX}: weight_map is {shown(weight_map)}; allowed: an object of weights and files"
        )
    for weight, name in weight_map.items():
        if not isinstance(name, str) or Path(name).name != name or not 0 < len(name) <= _LONGEST_NAME:
            raise UserError(
                f"{folder / _INDEX}: weight_map has {shown(name)} for {shown(weight)}; allowed: files of its folder"
            )
    missing = [plain(name) for name in sorted(set(weight_map.values())) if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder} lacks {', '.join(missing)}, which {_INDEX} names; download it again")
    return weight_map


@contextlib.contextmanager
def _open_file(path: Path) -> Iterator[Any]:
    """Opens a safetensors file; raises UserError if it is incomplete or damaged."""
    try:
        file = safetensors.safe_open(path, framework="np")
    except Exception as error:  # safetensors raises exceptions of several types
        detail = one_line(error, 120)
        raise UserError(f"{path} cannot be loaded: {type(error).__name__}: {detail}; download it again") from None
    with file as tensors:
        yield tensors


def full_name(name: str, names: Mapping[str, Any]) -> str:
    """The name of a weight in the files, given with or without its prefix; raises KeyError if there is none."""
    for candidate in (name, f"model.{name}", f"transformer.{name}", name.removeprefix("model.")):
        if candidate in names:
            return candidate
    raise KeyError(f"no weight {name}")


def select_weights(
    config: Mapping[str, Any], tensors: Mapping[str, StoredTensor], folder: Path
) -> dict[str, StoredTensor]:
    """The weights of the model of a complete config.json, with the copy of a tied head if the files hold one.

    Raises:
      UserError: for missing and surplus weights, and for weights of another shape or type than the model's.
    """
    kind, key = config["model_type"], "n_layer" if config["model_type"] == "gpt2" else "num_hidden_layers"
    if config[key] > len(tensors):  # checked first: the shapes below take memory for each layer
        raise UserError(f"{folder}/config.json: {key} is {config[key]}; allowed: at most {len(tensors)}, its weights")
    selected = {}
    for name, shape in _shapes(config).items():
        try:
            stored_name = full_name(name, tensors)
        except KeyError:
            raise UserError(
                f"{folder} has no weight {name}, which a {kind} of {config[key]} layers has; download it again"
            ) from None
        selected[stored_name] = tensor = tensors[stored_name]
        if tensor.shape != shape:
            raise UserError(
                f"{tensor.path} cannot be loaded: {stored_name} has the shape {tensor.shape}; allowed by config.json: "
                f"{shape}"
            )
        if tensor.dtype not in _DTYPES:
            raise UserError(f"{tensor.path}: {stored_name} is in {tensor.dtype}; allowed: {', '.join(_DTYPES)}")
    if config["tie_word_embeddings"] and _HEAD in tensors:
        selected[_HEAD] = tensors[_HEAD]
    surplus = sorted(plain(name) for name in tensors if name not in selected and not name.endswith(_CONSTANTS))
    if surplus:
        raise UserError(
            f"{folder} holds weights that no {kind} of {config[key]} layers has: {', '.join(surplus[:4])}"
            f"{' …' if len(surplus) > 4 else ''}; it is another model than its config.json describes"
        )
    return selected


def _shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of every weight, by transformers' names without GPT-2's prefix; GPT-2's matrices are [in, out]."""
    if config["model_type"] != "gpt2":
        return weight_shapes.weight_shapes(config)
    shapes = weight_shapes.weight_shapes({**config, "n_inner": config["n_inner"] or 4 * config["n_embd"]})
    without_prefix = {name.removeprefix("transformer."): shape for name, shape in shapes.items()}
    return {name: shape[::-1] if name.startswith("h.") else shape for name, shape in without_prefix.items()}


class _OpenFiles:
    """Open safetensors files as Tensors."""

    def __init__(self, files: Mapping[Path, Any], stored: Mapping[str, StoredTensor]) -> None:
        self.files, self.stored = files, stored
        self.names = frozenset(stored)

    def full_name(self, name: str) -> str:
        """The name of a weight in the files, given with or without its prefix; raises KeyError if there is none."""
        return full_name(name, self.stored)

    def get_tensor(self, name: str) -> Array:
        stored_name = self.full_name(name)
        tensor: Array = self.files[self.stored[stored_name].path].get_tensor(stored_name)
        return tensor


@contextlib.contextmanager
def open_weights(stored: Mapping[str, StoredTensor], tied: bool, folder: Path) -> Iterator[Tensors]:
    """Opens the weights of a model, without the copy of a tied head; raises UserError if that is no copy."""
    with contextlib.ExitStack() as stack:
        paths = sorted({tensor.path for tensor in stored.values()})
        files = {path: stack.enter_context(_open_file(path)) for path in paths}
        weights = {name: tensor for name, tensor in stored.items() if not (tied and name == _HEAD)}
        if len(weights) < len(stored):
            _require_tied_head(_OpenFiles(files, stored), folder)
        yield _OpenFiles(files, weights)


def _require_tied_head(files: _OpenFiles, folder: Path) -> None:
    table = next(name for name in files.names if name.endswith(("wte.weight", "embed_tokens.weight")))
    if not np.array_equal(files.get_tensor(_HEAD), files.get_tensor(table)):
        raise UserError(
            f"{folder}/config.json: tie_word_embeddings is true, but {_HEAD} is not equal to {table}; allowed: the "
            "same matrix, or none"
        )
