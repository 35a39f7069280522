"""A file has every weight once: file sizes of a model whose weights are much larger than its graph."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autocomplete.common.native_log import quiet
from autocomplete.graph import core, fixed_loop, growing_loop, loop_plan, tokens_driver
from autocomplete.model import decoder, folding
from autocomplete.model.decoder import Weights
from autocomplete.model.families import gpt2
from autocomplete.quantize import recipes
from autocomplete.runtime import compiled, interpreters, tokens_model
from autocomplete.tflite import edit, flatbuffer, linker
from helpers.modes import settings

pytestmark = pytest.mark.slow

LENGTHS = loop_plan.LoopLengths(32, 16)
BITS = {
    "float32": 32,
    "float16": 16,
    "dynamic_range": 8,
    "weight_only_int8": 8,
    "full_integer": 8,
    "full_integer_int16_activations": 8,
    "int4_block32": 4,
    "int4_block32_rtn": 4,
}
BIAS_BYTES = {"full_integer": 4, "full_integer_int16_activations": 8}
CONFIG = {
    "vocabulary_size": 20000,
    "num_layers": 2,
    "num_heads": 8,
    "hidden_dim": 512,
    "intermediate_dim": 2048,
    "max_sequence_length": 64,
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """GPT-2's layout with random numbers: 17 M parameters."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "config.json").write_text(json.dumps({"config": CONFIG}))
    config = gpt2.read_config(folder)

    def read(name: str) -> np.ndarray:
        seed = sum(name.encode())
        return np.random.default_rng(seed).normal(0, 0.02, sizes[name]).astype(np.float32)

    sizes = folding.weight_shapes(config, folding.OptionalWeights(num_positions=64))
    return Weights(config, sizes, read)


@pytest.fixture(scope="module")
def files(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """Every flavour in every mode."""
    folder = tmp_path_factory.mktemp("sizes")
    steps = fixed_loop.step_shapes(LENGTHS) | growing_loop.step_shapes(LENGTHS)
    with quiet():
        flatbuffer.write(core.build(weights, 64, [16, 32], steps), folder / "float.tflite")
        driver = tokens_driver.convert(weights.config, (1,), LENGTHS)
    paths: dict[str, dict[str, Path]] = {}
    for mode in BITS:
        recipe = settings(mode)["recipe"]
        statistics = recipes.calibrate(folder / "float.tflite", recipe, [range(2, 60)])
        quantized = recipes.quantize(folder / "float.tflite", recipe, statistics)
        paths[mode] = {n: folder / f"{mode}_{n}.tflite" for n in ("core", "tokens")}
        flatbuffer.write(edit.without_signatures(quantized, steps), paths[mode]["core"])
        flatbuffer.write(linker.link(driver, quantized), paths[mode]["tokens"])
    return paths


def scale_bytes(weights: Weights, mode: str) -> int:
    """The size of scales: a float32 per row for int8, a float16 per block of 32 for int4."""
    matrices = [size for size in weights.shapes.values() if len(size) == 2]
    if mode in BIAS_BYTES:  # a bias has a scale and a zero point for each row, and is wider than a weight
        return sum((4 + 4 + 8 + BIAS_BYTES[mode] - 1) * rows for rows, _ in matrices)
    if BITS[mode] == 8:
        return sum(4 * rows for rows, _ in matrices)
    return sum(2 * rows * columns // 32 for rows, columns in matrices) if mode.startswith("int4") else 0


@pytest.mark.parametrize("flavour", ["core", "tokens"])
@pytest.mark.parametrize("mode", BITS)
def test_a_file_is_hardly_larger_than_its_weights(weights: Weights, files: Any, mode: str, flavour: str) -> None:
    parameters = sum(int(np.prod(size)) for size in weights.shapes.values())
    expected = parameters * BITS[mode] / 8 + scale_bytes(weights, mode)
    assert expected < files[mode][flavour].stat().st_size <= 1.03 * expected


@pytest.mark.parametrize("flavour", ["core", "tokens"])
@pytest.mark.parametrize("mode", BITS)
def test_embedding_and_head_are_one_buffer_of_the_mode_s_bits(
    weights: Weights, files: Any, mode: str, flavour: str
) -> None:
    model = flatbuffer.read(files[mode][flavour])
    rows, columns = weights.shapes[decoder.EMBEDDING]
    tables = {
        tensor.buffer
        for subgraph in model.subgraphs
        for tensor in subgraph.tensors
        if tensor.shape is not None and list(tensor.shape) == [rows, columns]
    } - {0}
    assert [len(model.buffers[t].data) for t in tables] == [rows * columns * BITS[mode] // 8]


@pytest.mark.parametrize("mode", BITS)
def test_every_mode_generates(files: Any, mode: str) -> None:
    generate = tokens_model.interpreted(interpreters.litert(files[mode]["tokens"], 1))
    answer = generate([5, 6, 7], 20, tokens_model.Sampling())
    assert answer[:3] == [5, 6, 7]
    assert 3 < len(answer) <= 20


@pytest.mark.parametrize("mode", ["float32", "dynamic_range", "int4_block32"])
def test_shared_packed_weights_change_nothing(files: Any, tmp_path: Path, mode: str) -> None:
    """CompiledModel without a weight cache, with one in memory, with a new one in a file and with that file again."""
    path = files[mode]["tokens"]
    expected = tokens_model.interpreted(interpreters.litert(path, 1))([5, 6, 7], 32, tokens_model.Sampling())
    for cache in (None, Path(":memory"), tmp_path / "packed", tmp_path / "packed"):
        with quiet():
            generate = tokens_model.compiled(compiled.load(path, 1, cache))
            assert generate([5, 6, 7], 32, tokens_model.Sampling()) == expected
            sampling = tokens_model.Sampling(1.0, 5, 0.9, seed=3)
            assert generate([5, 6, 7], 32, sampling) == generate([5, 6, 7], 32, sampling)
    assert (tmp_path / "packed").stat().st_size > 0
