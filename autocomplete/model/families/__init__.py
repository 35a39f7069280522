"""The families of models that can be converted, each a module of this room."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json

if TYPE_CHECKING:
    from autocomplete.model.decoder import Shape, Weights

# KerasHub's name of the backbone → the module with `read_shape` and `weights`
FAMILIES = {
    "GPT2Backbone": "gpt2",
    "OPTBackbone": "opt",
    "GPTNeoXBackbone": "gpt_neox",
    "LlamaBackbone": "llama",
    "Llama3Backbone": "llama",
    "MistralBackbone": "mistral",
    "QwenBackbone": "qwen",
    "Qwen3Backbone": "qwen3",
    "GemmaBackbone": "gemma",
    "Gemma3Backbone": "gemma3",
}


class Family(Protocol):
    """What the module of a family has."""

    def read_shape(self, preset: Path) -> "Shape":
        """What the model is, by its configuration alone."""
        ...

    def weights(self, preset: Path, positions: int) -> "Weights":
        """Its weights in the decoder's layout, for that many positions."""
        ...


def check(preset: str, backbone: str) -> None:
    """Raises UserError, with the list, where a backbone's family cannot be converted."""
    if backbone not in FAMILIES:
        known = ", ".join(dict.fromkeys(FAMILIES.values()))
        raise UserError(f"preset {preset!r} is a {backbone}; families that can be converted: {known}")


def read_shape(preset: Path) -> "Shape":
    """The shape of a preset's model."""
    return _family(preset).read_shape(preset)


def weights(preset: Path, positions: int) -> "Weights":
    """The weights of a preset's model; of a table of positions, the first ones."""
    return _family(preset).weights(preset, positions)


def _family(preset: Path) -> Family:
    backbone = str(read_json(preset / "config.json")["class_name"])
    check(str(preset), backbone)
    return cast(Family, importlib.import_module(f"{__name__}.{FAMILIES[backbone]}"))
