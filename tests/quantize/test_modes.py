"""Every mode of conf/quantize: the types in its core, generation, reproducible bytes."""

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from litert_quantizer import qtyping

from autocomplete.data import evaluation_text
from autocomplete.quantize import calibration, recipes
from autocomplete.runtime import compiled, interpreters, logits, sessions, tokens_model
from autocomplete.tflite import edit, flatbuffer, linker, matmul_names
from autocomplete.tflite.signatures import SCORE
from helpers.modes import MODES, settings
from helpers.toy_models import quantized, steps
from helpers.toys import PROMPTS, SEQUENCE, SLOTS, TEXT, Toy

pytestmark = pytest.mark.slow

INTEGER = {"full_integer": schema.TensorType.INT8, "full_integer_int16_activations": schema.TensorType.INT16}


@pytest.fixture(scope="module")
def cores(toy: Toy, core_path: Path) -> dict[str, Any]:
    return {mode: quantized(toy, core_path, mode) for mode in MODES}


def written(model: Any, path: Path) -> Path:
    flatbuffer.write(model, path)
    return path


def types(model: Any, kinds: tuple[str, ...]) -> Counter[tuple[int, ...]]:
    """The types of operands and results of all operators of the given kinds, without biases."""
    names = edit.operator_names(model)
    return Counter(
        tuple(s.tensors[int(i)].type for i in (*o.inputs[:2], o.outputs[0]))
        for s in model.subgraphs
        for o in s.operators
        if names[o.opcodeIndex] in kinds
    )


@pytest.mark.parametrize("mode", MODES)
def test_quantizing_twice_gives_the_same_bytes(toy: Toy, core_path: Path, cores: Any, mode: str) -> None:
    assert flatbuffer.serialize(quantized(toy, core_path, mode)) == flatbuffer.serialize(cores[mode])


@pytest.mark.parametrize("mode", ["float16", "dynamic_range"])
def test_quick_comparison_of_arrays_changes_no_byte(
    toy: Toy, core_path: Path, cores: Any, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = qtyping._compare_array_or_none
    with recipes.quick_comparison():
        assert qtyping._compare_array_or_none is not before
    assert qtyping._compare_array_or_none is before
    monkeypatch.setattr(recipes, "quick_comparison", contextlib.nullcontext)
    assert flatbuffer.serialize(quantized(toy, core_path, mode)) == flatbuffer.serialize(cores[mode])


def test_statistics_can_be_reused(toy: Toy, core_path: Path) -> None:
    recipe = settings("int4_block32")["recipe"]
    windows = evaluation_text.windows(
        TEXT, toy.bpe, evaluation_text.BoundaryTokens(None, toy.vocabulary.end_token_id), SLOTS, 2
    )
    statistics = recipes.calibrate(core_path, recipe, windows.tolist())
    first, second = (flatbuffer.serialize(recipes.quantize(core_path, recipe, statistics)) for _ in range(2))
    assert first == second


def test_calibration_reads_no_padding(toy: Toy, core_path: Path) -> None:
    """A sequence and its whole chunks give the same statistics; the rest of the sequence is not read."""
    recipe = settings("full_integer")["recipe"]
    tokens = evaluation_text.windows(
        TEXT, toy.bpe, evaluation_text.BoundaryTokens(None, toy.vocabulary.end_token_id), 40, 1
    ).tolist()
    assert str(recipes.calibrate(core_path, recipe, tokens)) == str(
        recipes.calibrate(core_path, recipe, [tokens[0][:32]])
    )


@pytest.mark.parametrize("mode", INTEGER)
def test_full_integer_has_no_float_product(cores: Any, mode: str) -> None:
    product_types = types(cores[mode], ("FULLY_CONNECTED", "BATCH_MATMUL"))
    activation = INTEGER[mode]
    allowed = {(activation, schema.TensorType.INT8, activation), (activation, activation, activation)}
    assert set(product_types) == allowed
    assert sum(product_types.values()) == len(list(matmul_names.matmuls(cores[mode])))


@pytest.mark.parametrize("mode", MODES)
def test_core_and_tokens_model_generate_the_same_first_token(
    toy: Toy, cores: Any, tokens_driver: Any, tmp_path: Path, mode: str
) -> None:
    """The core's `decode` rounds in another order than the loop's `step`."""
    generate = tokens_model.interpreted(
        interpreters.litert(written(linker.link(tokens_driver, cores[mode]), tmp_path / "t.tflite"), 1)
    )
    session = sessions.InterpreterSession(interpreters.litert(written(cores[mode], tmp_path / "core.tflite"), 1))
    for prompt in PROMPTS:
        ids = [toy.vocabulary.start_token_id, *toy.bpe.encode(prompt).ids]
        answer = generate(ids, SEQUENCE, tokens_model.Sampling())
        assert answer[: len(ids)] == ids
        session.reset()
        last_logits = [session.decode(t) for t in ids][-1]
        # the token that the loop generated is the core's best, or almost as good
        assert last_logits.max() - last_logits[answer[len(ids)]] < 0.05 * last_logits.std()


@pytest.mark.parametrize("mode", MODES)
def test_scores_are_the_logits_of_decode(cores: Any, mode: str, tmp_path: Path) -> None:
    session = compiled.CompiledSession(compiled.load(written(cores[mode], tmp_path / "core.tflite"), 1))
    ids = np.random.default_rng(2).integers(4, 500, 45).astype(np.int32)  # a chunk, and part of one
    scored, decoded = logits.scored(session, ids), logits.decoded(session, ids)
    assert scored.shape == decoded.shape
    np.testing.assert_allclose(scored, decoded, rtol=0, atol=1e-5 * np.abs(decoded).max())


@pytest.mark.parametrize("mode", MODES)
def test_outputs_of_signatures_are_those_of_their_subgraphs(cores: Any, mode: str) -> None:
    """litert-quantizer 0.11 makes a quantized copy of the KV cache an output in place of the cache."""
    for signature in cores[mode].signatureDefs:
        subgraph = cores[mode].subgraphs[signature.subgraphIndex]
        assert sorted(e.tensorIndex for e in signature.outputs) == sorted(int(i) for i in subgraph.outputs)
        assert {subgraph.tensors[e.tensorIndex].type for e in signature.outputs} == {schema.TensorType.FLOAT32}


def test_int16_activations_are_almost_float(toy: Toy, core_path: Path, cores: Any, tmp_path: Path) -> None:
    paths = [core_path, written(cores["full_integer_int16_activations"], tmp_path / "core.tflite")]
    core_sessions = [sessions.InterpreterSession(interpreters.litert(p, 1)) for p in paths]
    ids = [toy.vocabulary.end_token_id, *toy.bpe.encode(TEXT[0]).ids[:9]]  # the begin of the calibration text
    exact, integer = ([s.decode(t) for t in ids][-1] for s in core_sessions)
    assert np.abs(exact - integer).max() < 0.1 * exact.std()


def test_statistics_of_one_signature_hold_for_all(core_path: Path) -> None:
    products = list(matmul_names.matmuls(flatbuffer.read(core_path)))
    assert {p.signature for p in products} == {"decode", "prefill_8", "prefill_32", SCORE, *steps()}
    observed = {
        name: {"min": np.full((1, 1), -float(i)), "max": np.full((1, 1), float(i))}
        for i, name in enumerate(n for p in products if p.signature in ("decode", "prefill_32") for n in p.activations)
    }
    pooled = calibration.shared_statistics(products, observed, ["prefill_32", "decode"])
    assert set(pooled) == {n for p in products for n in p.activations}
    by_role: dict[tuple[str, int], set[float]] = {}
    for product in products:
        for place, name in enumerate(product.activations):
            by_role.setdefault((product.unnumbered_role, place), set()).add(float(pooled[name]["max"][0, 0]))
    assert all(len(values) == 1 for values in by_role.values())
    assert by_role["layer_0_mix", 0] == {1.0}  # probabilities


def test_products_are_named_by_their_weights(core_path: Path) -> None:
    roles = [p.role for p in matmul_names.matmuls(flatbuffer.read(core_path)) if p.signature == "decode"]
    layer = ["qkv", "scores", "mix", "attention_output", "feedforward_up", "feedforward_down"]
    assert roles == [f"layer_{i}_{part}" for i in range(2) for part in layer] + ["logits"]
