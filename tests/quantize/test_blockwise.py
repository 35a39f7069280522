"""int4 files load whatever values a block of weights has."""

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.native_log import quiet
from autocomplete.graph import core
from autocomplete.model.decoder import Weights
from autocomplete.quantize import blockwise, recipes
from autocomplete.runtime import compiled
from autocomplete.tflite import flatbuffer
from helpers.modes import settings
from helpers.toy_models import steps
from helpers.toys import SLOTS, Toy

TINY = {"zero": 0.0, "below float16": 1e-12, "subnormal": 2e-5, "least normal": 4.3e-4}


def shrunk(toy: Toy, size: float) -> Weights:
    """The toy's weights, with some blocks of each matrix scaled to a maximum of `size`."""

    def read(name: str) -> np.ndarray:
        value = np.array(toy.weights.read(name))
        if value.ndim == 2:
            block = value[3, :32]
            value[3, :32] = block / np.abs(block).max() * size
            value[5] = value[5] / np.abs(value[5]).max() * size
        return value

    return Weights(toy.weights.config, toy.weights.shapes, read)


@pytest.mark.parametrize("size", TINY.values(), ids=TINY)
def test_a_block_near_zero_loads_and_stays_near_zero(toy: Toy, size: float, tmp_path: Path) -> None:
    with quiet():
        flatbuffer.write(core.build(shrunk(toy, size), SLOTS, [8], steps()), tmp_path / "core.tflite")
    quantized = recipes.quantize(tmp_path / "core.tflite", settings("int4_block32_rtn")["recipe"])
    flatbuffer.write(quantized, tmp_path / "int4.tflite")
    session = compiled.CompiledSession(compiled.load(tmp_path / "int4.tflite", 1))
    reference = compiled.CompiledSession(compiled.load(tmp_path / "core.tflite", 1))
    ids = [1, 40, 3, 5, 99]
    differences = [np.abs(session.decode(i) - reference.decode(i)).mean() for i in ids]
    assert np.isfinite(differences).all()
    for tensor, scales, numbers in blocks(quantized):
        assert (scales >= blockwise.LEAST_SCALE).all(), tensor
        assert np.abs(numbers).max() == 7, tensor  # the ordinary blocks are unchanged


def blocks(model: schema.ModelT) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """The name, scales and numbers of each int4 tensor."""
    tensors = []
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            details = tensor.quantization.details if tensor.quantization else None
            if isinstance(details, schema.BlockwiseQuantizationT):
                scales = bytes(model.buffers[subgraph.tensors[details.scales].buffer].data)
                pairs = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.uint8)
                tensors.append((tensor.name.decode(), np.frombuffer(scales, np.float16), blockwise._unpacked(pairs)))
    assert tensors
    return tensors


def test_numbers_are_rounded_to_the_new_scale() -> None:
    numbers = np.array([-7, -4, 3, 7, 0, 1, -1, 5], np.int8)
    assert (blockwise._unpacked(blockwise._packed(numbers)) == numbers).all()
