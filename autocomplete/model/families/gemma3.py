"""Gemma 3 for text, as KerasHub has it: five layers with a window, then one without."""

from pathlib import Path

from autocomplete.common.errors import UserError
from autocomplete.model import rotary
from autocomplete.model.decoder import Kind, Shape, Weights
from autocomplete.model.families import gemma

_NEAR, _FAR = 10_000.0, 1_000_000.0  # the base of turns in layers with a window and without one


def read_shape(preset: Path) -> Shape:
    """The dimensions of a Gemma 3; raises UserError for one that sees pictures or embeds texts."""
    config = gemma.config_of(preset)
    for key in ("vision_encoder", "is_embedding_model", "use_bidirectional_attention"):
        if config[key]:
            raise UserError(f"{preset} is a Gemma 3 with {key}; allowed: one that writes text from text alone")
    size = config["head_dim"]
    far = Kind(turns=rotary.turns(_FAR, size, config["global_rope_scaling_factor"]))
    near = Kind(config["sliding_window_size"], rotary.turns(_NEAR, size, config["local_rope_scaling_factor"]))
    kinds = (*[near] * 5, far) if config["use_sliding_window_attention"] else (far,)
    return gemma.shape_of(config, config["intermediate_dim"], kinds)


def weights(preset: Path, positions: int) -> Weights:
    """The weights of a Gemma 3."""
    return gemma.weights_of(preset, read_shape(preset), head_norm=gemma.config_of(preset)["use_query_key_norm"])
