"""A KerasHub preset's weights, read variable by variable from its HDF5 files, without building the Keras model."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from stages.arrays import Array
from stages.errors import UserError

Layers = Mapping[str, h5py.Group]


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
