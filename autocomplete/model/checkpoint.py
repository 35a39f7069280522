"""A KerasHub preset's weights, read variable by variable from its HDF5 files, without building the Keras model."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError

Layers = Mapping[str, h5py.Group]


def inputs_first(kernel: Array) -> Array:
    """The matrix `[out, in]` of a kernel `[in, …]`; a vector of a bias."""
    return kernel.reshape(kernel.shape[0], -1).T


def outputs_last(kernel: Array) -> Array:
    """The matrix `[out, in]` of a kernel `[…, out]`."""
    return kernel.reshape(-1, kernel.shape[-1]).T


def inputs_between(kernel: Array) -> Array:
    """The matrix `[out, in]` of a kernel `[heads, in, head_dim]`."""
    return kernel.transpose(0, 2, 1).reshape(-1, kernel.shape[1])


@dataclass(frozen=True)
class Place:
    """Where a weight is: the path inside its layer, and the number of its variable; its bias is the next variable.

    `matrix` lays a kernel out as `[out, in]` (None: it is laid out as it should be); `pick` takes a part of kernel and
    bias beforehand.
    """

    path: str = ""
    matrix: Callable[[Array], Array] | None = None
    number: int = 0
    pick: Callable[[Array], Array] | None = None


Places = Mapping[str, Place]


def source(preset: Path, outer: Places, inner: Places, layer: str = "transformer_layer") -> Callable[[str], Array]:
    """A preset's weights by the names that autocomplete/model/folding.py lists.

    Args:
      preset: a KerasHub preset.
      outer: places of what is outside the layers, whose paths begin with the name of a Keras layer.
      inner: places of what is in each layer.
      layer: what Keras's names of layers begin with.
    """
    layers = open_layers(preset)

    def read(name: str) -> Array:
        plain = name.removesuffix("_bias")
        inside = re.fullmatch(r"layer_(\d+)/(.*)", plain)
        place = inner[inside[2]] if inside else outer[plain]
        path = f"{layer}_{inside[1]}/{place.path}" if inside else place.path
        owner, _, part = path.partition("/")
        value = variable(layers, owner, place.number + (plain != name), part)
        value = value if place.pick is None else place.pick(value)
        if plain != name:
            return value.reshape(-1)
        return value if place.matrix is None else place.matrix(value)

    return read


def open_layers(preset: Path) -> Layers:
    """The layers of a preset's backbone by their Keras names; one file, or several where Keras made shards.

    Raises:
      UserError: where there is no such file, or it is damaged.
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


def variable(layers: Layers, layer: str, place: int, part: str = "") -> Array:
    """The variable number `place` of a layer, or of a layer inside it (`part`, a path), float32."""
    return np.asarray(layers[layer][f"{part}/vars/{place}".lstrip("/")], np.float32)
