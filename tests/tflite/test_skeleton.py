"""Conversion does not read the weights, and the file holds each of them once."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autocomplete.common.native_log import quiet
from autocomplete.graph import core
from autocomplete.tflite import edit, flatbuffer
from helpers.modes import MODES
from helpers.toy_models import quantized, steps
from helpers.toys import SLOTS, Toy


def operators(model: Any, signature: str) -> list[tuple[str, Any]]:
    names = edit.operator_names(model)
    subgraph = model.subgraphs[edit.signature(model, signature).subgraphIndex]
    return [(names[o.opcodeIndex], o) for o in subgraph.operators]


def constant(model: Any, signature: str, tensor: int) -> bool:
    subgraph = model.subgraphs[edit.signature(model, signature).subgraphIndex]
    return model.buffers[subgraph.tensors[int(tensor)].buffer].data is not None


@pytest.mark.parametrize("signature", ["decode", "prefill_8", "prefill_32"])
def test_every_matrix_product_has_a_constant_weight_and_its_bias(core_path: Path, signature: str) -> None:
    model = flatbuffer.read(core_path)
    products = [o for name, o in operators(model, signature) if name == "FULLY_CONNECTED"]
    # four for each layer, and the head; of the last layer, a prefill needs only keys and values
    assert len(products) == (9 if signature == "decode" else 5)
    for product in products:
        assert constant(model, signature, product.inputs[1])
        assert len(product.inputs) == 3
        assert constant(model, signature, product.inputs[2])


@pytest.mark.parametrize("signature", ["decode", "prefill_8"])
def test_no_operator_computes_on_constants_alone(core_path: Path, signature: str) -> None:
    """The converter tends to move a norm's gain into the next matrix; with the weight as an input, that costs time."""
    model = flatbuffer.read(core_path)
    for name, operator in operators(model, signature):
        assert not all(constant(model, signature, i) for i in operator.inputs if i >= 0), name


def test_built_in_operators_only_and_gelu_is_one_kernel(core_path: Path) -> None:
    model = flatbuffer.read(core_path)
    counts = Counter(name for name, _ in operators(model, "decode"))
    assert counts["GELU"] == 2
    assert counts["EMBEDDING_LOOKUP"] == 2
    assert not [n for n in edit.operator_names(model) if n.startswith("Flex") or n == "CUSTOM"]


def test_each_weight_is_stored_once(toy: Toy, core_path: Path) -> None:
    model = flatbuffer.read(core_path)
    buffers = Counter(bytes(b.data) for b in model.buffers if b.data is not None)
    for name in toy.weights.shapes:
        assert buffers[toy.weights.read(name).tobytes()] == 1, name


def test_embedding_and_head_are_one_buffer_in_every_mode(toy: Toy, core_path: Path) -> None:
    for mode in MODES:
        model = quantized(toy, core_path, mode)
        table = list(toy.weights.shapes["embedding"])
        tables = {
            t.buffer for s in model.subgraphs for t in s.tensors if t.shape is not None and list(t.shape) == table
        }
        assert len(tables - {0}) == 1, mode


def _name(tensor: Any) -> bytes:
    return tensor.name if isinstance(tensor.name, bytes) else str(tensor.name).encode()


def test_the_contract_of_litert_lm(toy: Toy, core_path: Path) -> None:
    model = flatbuffer.read(core_path)
    signature = edit.signature(model, "prefill_8")
    tensors = model.subgraphs[signature.subgraphIndex].tensors
    cache = [f"kv_cache_{kind}_{i}" for i in range(2) for kind in "kv"]
    inputs = {edit.text(e.name): list(tensors[e.tensorIndex].shape) for e in signature.inputs}
    assert inputs == {"tokens": [1, 8], "input_pos": [8], "mask": [1, 1, 8, SLOTS]} | {
        name: [1, 2, SLOTS, 16] for name in cache
    }
    assert sorted(edit.text(e.name) for e in signature.outputs) == sorted(cache)
    decode = edit.signature(model, "decode")
    assert sorted(edit.text(e.name) for e in decode.outputs) == sorted([*cache, "logits"])


def test_the_same_weights_give_the_same_bytes(toy: Toy, core_path: Path) -> None:
    with quiet():
        rebuilt = core.build(toy.weights, SLOTS, [8, 32], steps(), score_length=32)
    assert flatbuffer.serialize(rebuilt) == core_path.read_bytes()


def test_a_weight_reaches_the_file_unchanged(toy: Toy, core_path: Path) -> None:
    model = flatbuffer.read(core_path)
    signature = edit.signature(model, "decode")
    tensors = {_name(t).decode(): t for t in model.subgraphs[signature.subgraphIndex].tensors}
    stored = model.buffers[tensors["decode/weight_layer_1_feedforward_down"].buffer].data
    expected = toy.weights.read("layer_1/feedforward_down")
    assert np.array_equal(np.frombuffer(bytes(stored), np.float32).reshape(expected.shape), expected)
