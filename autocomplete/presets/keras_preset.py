"""The Keras model of a KerasHub preset on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_hub

from autocomplete.common.errors import UserError
from autocomplete.common.native_log import quiet
from autocomplete.presets.settings import ALTERNATIVES


def load(folder: Path) -> keras_hub.models.CausalLM:
    """The causal language model of a preset, without a preprocessor where the preset is a backbone alone.

    Raises:
      UserError: where Keras cannot load it.
    """
    if (folder / "task.json").is_file():
        return whole(folder)
    with quiet():
        return causal_lm(_loaded(folder, lambda: keras_hub.models.Backbone.from_preset(str(folder))))


def whole(folder: Path) -> keras_hub.models.CausalLM:
    """The causal language model of a preset with KerasHub's own preprocessor; raises UserError likewise."""
    with quiet():
        return _loaded(folder, lambda: keras_hub.models.CausalLM.from_preset(str(folder)))


def causal_lm(backbone: keras_hub.models.Backbone) -> keras_hub.models.CausalLM:
    """A backbone as a causal language model without a preprocessor."""
    name = type(backbone).__name__.removesuffix("Backbone") + "CausalLM"
    return vars(keras_hub.models)[name](backbone=backbone, preprocessor=None)


def _loaded(folder: Path, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:  # loaders raise whatever they like; the user needs one line
        detail = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise UserError(f"preset {str(folder)!r} cannot be loaded: {detail}; {ALTERNATIVES}") from None
