"""Loads the Keras model of a KerasHub preset from disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_hub

from autocomplete.common.errors import UserError
from autocomplete.common.json_files import one_line
from autocomplete.common.native_log import quiet
from autocomplete.presets.settings import ALTERNATIVES


def load(folder: Path) -> keras_hub.models.CausalLM:
    """The causal language model of a preset; without a preprocessor if the preset holds only a backbone.

    Raises:
      UserError: if Keras cannot load it.
    """
    if (folder / "task.json").is_file():
        return load_task(folder)
    with quiet():
        return to_causal_lm(_load(folder, lambda: keras_hub.models.Backbone.from_preset(str(folder))))


def load_task(folder: Path) -> keras_hub.models.CausalLM:
    """The causal language model of a preset with KerasHub's own preprocessor; raises UserError like `load`."""
    with quiet():
        return _load(folder, lambda: keras_hub.models.CausalLM.from_preset(str(folder)))


def to_causal_lm(backbone: keras_hub.models.Backbone) -> keras_hub.models.CausalLM:
    """The causal language model of a backbone, without a preprocessor."""
    name = type(backbone).__name__.removesuffix("Backbone") + "CausalLM"
    return vars(keras_hub.models)[name](backbone=backbone, preprocessor=None)


def _load(folder: Path, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:  # loaders raise exceptions of any type; the user needs one line
        detail = f"{type(error).__name__}: {one_line(error, 200)}"
        raise UserError(f"preset {str(folder)!r} cannot be loaded: {detail}; {ALTERNATIVES}") from None
