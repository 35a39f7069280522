"""Gemma 1 and 2, as KerasHub has them; and what Gemma 3 has from them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.common.files import read_json
from autocomplete.model import checkpoint, folding, rotary
from autocomplete.model.checkpoint import Place, inputs_between, inputs_first, outputs_last
from autocomplete.model.decoder import Kind, Shape, Weights

EPSILON = 1e-6  # of KerasHub's blocks, to which the backbone's layer_norm_epsilon is not handed on


def _above_one(gamma: Array) -> Array:
    """Gemma's norms keep by how much they scale more than 1."""
    return np.float32(1) + gamma


_OUTER = {"embedding": Place("token_embedding"), "norm": Place("final_normalization", pick=_above_one)}
_LAYER = {
    "attention_norm": Place("pre_attention_norm", pick=_above_one),
    "query": Place("attention/query_dense", inputs_between),
    "key": Place("attention/key_dense", inputs_between),
    "value": Place("attention/value_dense", inputs_between),
    "query_norm": Place("attention/query_norm", pick=_above_one),
    "key_norm": Place("attention/key_norm", pick=_above_one),
    "attention_output": Place("attention/output_dense", outputs_last),
    "attention_post_norm": Place("post_attention_norm", pick=_above_one),
    "feedforward_norm": Place("pre_ffw_norm", pick=_above_one),
    "feedforward_gate": Place("gating_ffw", inputs_first),
    "feedforward_up": Place("gating_ffw_2", inputs_first),
    "feedforward_down": Place("ffw_linear", inputs_first),
    "feedforward_post_norm": Place("post_ffw_norm", pick=_above_one),
}


def read_shape(preset: Path) -> Shape:
    """The dimensions of a Gemma 1 or 2."""
    config = config_of(preset)
    # the order of a head's dimensions differs from other families', the same for query and key: no score shows it
    everywhere = Kind(turns=rotary.turns(10_000.0, config["head_dim"]))
    near = Kind(config["sliding_window_size"], everywhere.turns)
    kinds = (near, everywhere) if config["use_sliding_window_attention"] else (everywhere,)
    return shape_of(config, config["intermediate_dim"] // 2, kinds)


def weights(preset: Path, positions: int) -> Weights:
    """The weights of a Gemma 1 or 2."""
    return weights_of(preset, read_shape(preset), head_norm=False)


def config_of(preset: Path) -> dict[str, Any]:
    """A backbone's configuration."""
    return dict(read_json(preset / "config.json")["config"])


def weights_of(preset: Path, shape: Shape, *, head_norm: bool) -> Weights:
    """The weights of a Gemma, where KerasHub has them."""
    config = config_of(preset)
    if config["use_post_ffw_norm"] != config["use_post_attention_norm"]:
        raise UserError(f"{preset}: use_post_ffw_norm and use_post_attention_norm differ; allowed: both or neither")
    extras = folding.Extras(post_norms=config["use_post_ffw_norm"], head_norm=head_norm)
    return folding.weights(shape, extras, checkpoint.source(preset, _OUTER, _LAYER, "decoder_block"))


def shape_of(config: Mapping[str, Any], inner: int, kinds: tuple[Kind, ...]) -> Shape:
    """The dimensions of a decoder of Gemma's kind: RMSNorm, rotary positions, GeGLU, a scaled embedding, soft caps."""
    return Shape(
        layers=config["num_layers"],
        hidden=config["hidden_dim"],
        heads=config["num_query_heads"],
        kv_heads=config["num_key_value_heads"],
        head_dim=config["head_dim"],
        inner=inner,
        vocabulary=config["vocabulary_size"],
        epsilon=EPSILON,
        activation="gelu",
        gated=True,
        embedding_scale=float(np.sqrt(config["hidden_dim"])),
        score_cap=config["attention_logit_soft_cap"],
        logit_cap=config["final_logit_soft_cap"],
        head_epsilon=EPSILON,
        kinds=kinds,
    )
