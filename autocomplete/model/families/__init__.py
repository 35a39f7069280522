"""The model families that can be converted, by the name of KerasHub's backbone.

Importing this package loads neither TensorFlow nor h5py; the module of a family is imported when it is used.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json
from autocomplete.common.json_files import plain

if TYPE_CHECKING:
    from autocomplete.model.config import DecoderConfig
    from autocomplete.model.decoder import Weights
    from autocomplete.model.families.family import Family

# KerasHub's backbone → the family's name
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
# The family's name → the module here with a `Family` of that name in capitals
_MODULES = {
    "gpt2": "gpt2",
    "opt": "gpt2",
    "gpt_neox": "gpt_neox",
    "llama": "llama",
    "mistral": "llama",
    "qwen": "llama",
    "qwen3": "llama",
    "gemma": "gemma",
    "gemma3": "gemma",
}


def check_convertible(preset: str, backbone: str) -> None:
    """Raises UserError, with the list of families, for a backbone that cannot be converted."""
    if backbone not in FAMILIES:
        allowed = ", ".join(dict.fromkeys(FAMILIES.values()))
        raise UserError(f"preset {preset!r} is a {plain(backbone)}; families that can be converted: {allowed}")


def read_config(preset: Path) -> "DecoderConfig":
    """The decoder's configuration of a preset."""
    return _family(preset).read_config(preset)


def read_weights(preset: Path, num_positions: int) -> "Weights":
    """The decoder's weights of a preset; of a learned position table, the first `num_positions` rows."""
    return _family(preset).read_weights(preset, num_positions)


def _family(preset: Path) -> "Family":
    backbone = str(read_json(preset / "config.json")["class_name"])
    check_convertible(str(preset), backbone)
    name = FAMILIES[backbone]
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return cast("Family", getattr(module, name.upper()))
