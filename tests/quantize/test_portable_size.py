"""The size that the bytes driver adds to a model, with GPT-2's vocabulary and number of layers."""

import json
from pathlib import Path

import numpy as np
import pytest

from autocomplete.common.native_log import quiet
from autocomplete.graph import bytes_driver, core, fixed_loop, growing_loop, loop_plan, tokens_driver
from autocomplete.model import folding
from autocomplete.model.decoder import Weights
from autocomplete.model.families import gpt2
from autocomplete.tflite import flatbuffer, linker
from helpers.vocabularies import gpt2_vocabulary

pytestmark = pytest.mark.slow

ALLOWED = 2_000_000
CONFIG = {
    "vocabulary_size": 50257,
    "num_layers": 12,
    "num_heads": 12,
    "hidden_dim": 48,
    "intermediate_dim": 192,
    "max_sequence_length": 128,
}


def test_less_than_2_mb_over_tokens_at_gpt2s_vocabulary(tmp_path: Path) -> None:
    """The width of the layers does not matter: each file has every weight once."""
    vocabulary = gpt2_vocabulary()
    (tmp_path / "config.json").write_text(json.dumps({"config": CONFIG}))
    config = gpt2.read_config(tmp_path)
    shapes = folding.weight_shapes(config, folding.OptionalWeights(num_positions=128))
    weights = Weights(config, shapes, lambda name: np.full(shapes[name], sum(name.encode()), np.float32))
    fixed, grown = loop_plan.LoopLengths(100, 16), loop_plan.LoopLengths(100, 64, draft_tokens=8)
    limits = bytes_driver.BytesLimits(fixed, 50, 512)
    with quiet():
        built = core.build(weights, 128, [16], {**fixed_loop.step_shapes(fixed), **growing_loop.step_shapes(grown)})
        flatbuffer.write(built, tmp_path / "core")
        tokens = tokens_driver.convert(config, vocabulary.end_token_ids, grown)
        portable = bytes_driver.convert(vocabulary, config, limits)
    file_sizes = {}
    for name, driver in {"tokens": tokens, "portable": portable}.items():
        flatbuffer.write(linker.link(driver, flatbuffer.read(tmp_path / "core")), tmp_path / name)
        file_sizes[name] = (tmp_path / name).stat().st_size
    print(file_sizes)
    assert file_sizes["portable"] - file_sizes["tokens"] < ALLOWED
