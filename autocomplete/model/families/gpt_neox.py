"""GPT-NeoX and Pythia, as KerasHub has them: attention and feed-forward part side by side, some dimensions turned."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from autocomplete.common.arrays import Array
from autocomplete.common.files import read_json
from autocomplete.model import checkpoint, folding, rotary
from autocomplete.model.checkpoint import Place, inputs_first
from autocomplete.model.decoder import Kind, Shape, Weights
from autocomplete.model.families import gpt2

_OUTER = {"embedding": Place("token_embedding"), "norm": Place("layer_norm")}


def _third(number: int) -> Callable[[Array], Array]:
    """Picks query, key or value of each head, `[…, heads, 3 · head_dim]`."""
    return lambda joined: joined.reshape(*joined.shape[:-1], 3, -1)[..., number, :]


def _qkv(number: int) -> Place:
    return Place("_self_attention_layer/_qkv_dense", inputs_first, pick=_third(number))


_LAYER = gpt2.LAYER | {
    "query": _qkv(0),
    "key": _qkv(1),
    "value": _qkv(2),
    "attention_output": Place("_self_attention_layer/_output_dense", inputs_first),
}


def read_shape(preset: Path) -> Shape:
    """The dimensions of a GPT-NeoX."""
    config, plain = read_json(preset / "config.json")["config"], gpt2.shape_of(preset, "gelu")
    turned = int(plain.head_dim * config["rotary_percentage"])
    kind = Kind(turns=rotary.turns(config["rotary_max_wavelength"], turned))
    return dataclasses.replace(plain, epsilon=config["layer_norm_epsilon"], parallel=True, kinds=(kind,))


def weights(preset: Path, positions: int) -> Weights:
    """The weights of a GPT-NeoX, whose head KerasHub ties to the embedding."""
    return folding.weights(read_shape(preset), folding.Extras(), checkpoint.source(preset, _OUTER, _LAYER))
