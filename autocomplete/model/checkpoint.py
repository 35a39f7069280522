"""Reads a KerasHub preset: the backbone's configuration, and its weights, one variable at a time, from HDF5 files.

The Keras model is not built.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json
from autocomplete.common.json_files import JsonObject

Layers = Mapping[str, h5py.Group]
ReadWeight = Callable[[str], Array]  # the name of a weight → the weight


def backbone_config(preset: Path) -> JsonObject:
    """The configuration of a preset's backbone, by KerasHub's names."""
    return dict(read_json(preset / "config.json")["config"])


def from_inputs_first(kernel: Array) -> Array:
    """The matrix `[out, in]` of a kernel `[in, …]`; of a bias, a vector."""
    return kernel.reshape(kernel.shape[0], -1).T


def from_outputs_last(kernel: Array) -> Array:
    """The matrix `[out, in]` of a kernel `[…, out]`."""
    return kernel.reshape(-1, kernel.shape[-1]).T


def from_heads_first(kernel: Array) -> Array:
    """The matrix `[out, in]` of a kernel `[heads, in, head_dim]`."""
    return kernel.transpose(0, 2, 1).reshape(-1, kernel.shape[1])


@dataclass(frozen=True)
class WeightSource:
    """Where a weight is in the files.

    Attributes:
      path: the path of the Keras object that holds it; for a weight of a layer, the path inside the layer.
      to_matrix: lays a kernel out as `[out, in]`; None where it needs no change.
      variable: the index of the variable in that object; the bias is the next variable.
      select: takes a part of the kernel and of the bias, before `to_matrix`.
    """

    path: str = ""
    to_matrix: Callable[[Array], Array] | None = None
    variable: int = 0
    select: Callable[[Array], Array] | None = None


@dataclass(frozen=True)
class WeightSources:
    """Where the weights of a family are, by the names that folding.py lists.

    Attributes:
      outside_layers: their paths begin with the name of a Keras layer.
      in_layer: the same in every layer.
      layer_prefix: Keras's name of a layer, without its number.
    """

    outside_layers: Mapping[str, WeightSource]
    in_layer: Mapping[str, WeightSource]
    layer_prefix: str = "transformer_layer"


def weight_reader(preset: Path, sources: WeightSources) -> ReadWeight:
    """A function that reads one weight of a preset: a matrix `[out, in]` or a vector, float32."""
    layers = open_layers(preset)

    def read(name: str) -> Array:
        matrix_name = name.removesuffix("_bias")
        is_bias = matrix_name != name
        in_layer = re.fullmatch(r"layer_(\d+)/(.*)", matrix_name)
        if in_layer:
            source = sources.in_layer[in_layer[2]]
            layer, path = f"{sources.layer_prefix}_{in_layer[1]}", source.path
        else:
            source = sources.outside_layers[matrix_name]
            layer, _, path = source.path.partition("/")
        value = variable(layers, layer, source.variable + is_bias, path)
        value = value if source.select is None else source.select(value)
        if is_bias:
            return value.reshape(-1)
        return value if source.to_matrix is None else source.to_matrix(value)

    return read


def open_layers(preset: Path) -> Layers:
    """The layers of a preset's backbone by their Keras names, from one file or from shards.

    Raises:
      UserError: if there is no such file, or it is damaged.
    """
    paths = sorted(preset.glob("model*.weights.h5"))
    if not paths:
        raise UserError(f"{preset} holds no model.weights.h5; run `dvc repro` to make it")
    layers: dict[str, h5py.Group] = {}
    for path in paths:
        try:
            groups = h5py.File(path, "r")["layers"].values()
        except (OSError, KeyError) as error:
            raise UserError(f"{path} is not whole ({error}); delete {preset} and run `dvc repro`") from None
        layers |= {str(group["vars"].attrs["name"]): group for group in groups}
    return layers


def variable(layers: Layers, layer: str, index: int, path: str = "") -> Array:
    """One variable of a layer, or of the object at `path` inside it, float32."""
    return np.asarray(layers[layer][f"{path}/vars/{index}".lstrip("/")], np.float32)
