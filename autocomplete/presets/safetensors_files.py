"""Weights in safetensors files, one or several: all their headers are checked before one of the weights is read."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  # safetensors asks NumPy for bfloat16, which this makes known to it
import numpy as np
import safetensors

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.common.json_files import plain, read_object, shown
from autocomplete.presets import weight_shapes
from autocomplete.presets.checkpoint import Tensors

_INDEX, _WHOLE = "model.safetensors.index.json", "model.safetensors"
_NUMBERS = ("F32", "BF16", "F16", "F64")  # safetensors' names of types
# Constants that older files hold beside the weights: masks and the frequencies of positions.
_NO_WEIGHTS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
_HEAD = "lm_head.weight"
_LONGEST_NAME = 255  # of a file, on any file system


@dataclass(frozen=True)
class Stored:
    """Where a weight is, and what the header of its file says of it."""

    path: Path
    kind: str
    shape: tuple[int, ...]


def headers(folder: Path) -> dict[str, Stored]:
    """Every weight in a folder; raises UserError where not all files are here and whole."""
    placed = _placed(folder)
    found: dict[str, Stored] = {}
    for path in sorted({folder / name for name in placed.values()}) or [folder / _WHOLE]:
        with _opened(path) as file:
            for name in file.keys():  # noqa: SIM118
                if name in found:
                    raise UserError(f"{found[name].path} and {path.name} both hold {shown(name)}; allowed: one of them")
                part = file.get_slice(name)
                found[name] = Stored(path, part.get_dtype(), tuple(part.get_shape()))
    for name, file_name in placed.items():
        if name not in found or found[name].path.name != file_name:
            raise UserError(f"{folder / file_name} lacks {plain(name)}, which {_INDEX} places there; download it again")
    return found


def _placed(folder: Path) -> dict[str, str]:
    """The file of each weight by the index of a model of several; empty for a model of one, which comes first."""
    if (folder / _WHOLE).is_file():
        return {}
    if not (folder / _INDEX).is_file():
        raise UserError(f"{folder} has neither {_WHOLE} nor {_INDEX}: author reads weights from safetensors alone")
    found = read_object(folder / _INDEX).get("weight_map")
    if not isinstance(found, dict) or not found:
        raise UserError(f"{folder / _INDEX}: weight_map is {shown(found)}; allowed: an object of weights and files")
    for weight, name in found.items():
        if not isinstance(name, str) or Path(name).name != name or not 0 < len(name) <= _LONGEST_NAME:
            raise UserError(
                f"{folder / _INDEX}: weight_map has {shown(name)} for {shown(weight)}; allowed: files of its folder"
            )
    missing = [plain(name) for name in sorted(set(found.values())) if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder} lacks {', '.join(missing)}, which {_INDEX} names; download it again")
    return found


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A safetensors file; raises UserError where it is not whole."""
    try:
        file = safetensors.safe_open(path, framework="np")
    except Exception as error:  # safetensors raises an error of its own for each fault
        detail = " ".join(str(error).split())[:120]
        raise UserError(f"{path} cannot be loaded: {type(error).__name__}: {detail}; download it again") from None
    with file as opened:
        yield opened


def full_name(name: str, names: Mapping[str, Any]) -> str:
    """The name in the files of a weight that is given with or without its prefix; raises KeyError for no weight."""
    for full in (name, f"model.{name}", f"transformer.{name}", name.removeprefix("model.")):
        if full in names:
            return full
    raise KeyError(f"no weight {name}")


def chosen(config: Mapping[str, Any], found: Mapping[str, Stored], folder: Path) -> dict[str, Stored]:
    """The weights of a completed config.json's model, with a head that is tied where the files repeat it.

    Raises:
      UserError: for weights that are missing, left over, or of another shape or type than the model's.
    """
    kind, key = config["model_type"], "n_layer" if config["model_type"] == "gpt2" else "num_hidden_layers"
    if config[key] > len(found):  # before anything is made for each layer
        raise UserError(f"{folder}/config.json: {key} is {config[key]}; allowed: at most {len(found)}, its weights")
    made = {}
    for name, shape in _shapes(config).items():
        try:
            full = full_name(name, found)
        except KeyError:
            raise UserError(
                f"{folder} has no weight {name}, which a {kind} of {config[key]} layers has; download it again"
            ) from None
        made[full] = weight = found[full]
        if weight.shape != shape:
            raise UserError(
                f"{weight.path} cannot be loaded: {full} has the shape {weight.shape}; allowed by config.json: {shape}"
            )
        if weight.kind not in _NUMBERS:
            raise UserError(f"{weight.path}: {full} is in {weight.kind}; allowed: {', '.join(_NUMBERS)}")
    if config["tie_word_embeddings"] and _HEAD in found:
        made[_HEAD] = found[_HEAD]
    left = sorted(plain(name) for name in found if name not in made and not name.endswith(_NO_WEIGHTS))
    if left:
        raise UserError(
            f"{folder} holds weights that no {kind} of {config[key]} layers has: {', '.join(left[:4])}"
            f"{' …' if len(left) > 4 else ''}; it is another model than its config.json says"
        )
    return made


def _shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Every weight of a model without GPT-2's prefix, and its shape; GPT-2's matrices are [in, out]."""
    if config["model_type"] != "gpt2":
        return weight_shapes.shapes_of(config)
    shapes = weight_shapes.shapes_of({**config, "n_inner": config["n_inner"] or 4 * config["n_embd"]})
    bare = {name.removeprefix("transformer."): shape for name, shape in shapes.items()}
    return {name: shape[::-1] if name.startswith("h.") else shape for name, shape in bare.items()}


class _Files:
    """Open safetensors files; a weight is asked for with or without the prefix that a head gives it."""

    def __init__(self, files: Mapping[Path, Any], stored: Mapping[str, Stored]) -> None:
        self.files, self.stored = files, stored
        self.names = frozenset(stored)

    def full_name(self, name: str) -> str:
        """The name in the files; raises KeyError where there is none."""
        return full_name(name, self.stored)

    def get_tensor(self, name: str) -> Array:
        full = self.full_name(name)
        found: Array = self.files[self.stored[full].path].get_tensor(full)
        return found


@contextlib.contextmanager
def opened(stored: Mapping[str, Stored], tied: bool, folder: Path) -> Iterator[Tensors]:
    """The weights of a model; a tied head that the files repeat must be the embeddings, and is left out then."""
    with contextlib.ExitStack() as stack:
        files = {path: stack.enter_context(_opened(path)) for path in sorted({one.path for one in stored.values()})}
        weights = {name: one for name, one in stored.items() if not (tied and name == _HEAD)}
        if len(weights) < len(stored):
            _check_tied(_Files(files, stored), folder)
        yield _Files(files, weights)


def _check_tied(files: _Files, folder: Path) -> None:
    table = next(name for name in files.names if name.endswith(("wte.weight", "embed_tokens.weight")))
    if not np.array_equal(files.get_tensor(_HEAD), files.get_tensor(table)):
        raise UserError(
            f"{folder}/config.json: tie_word_embeddings is true, but {_HEAD} is not {table} again; allowed: the same "
            "matrix, or none"
        )
