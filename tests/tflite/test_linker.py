"""Linked models run, and generate what the core generates."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autocomplete.common.errors import UserError
from autocomplete.common.native_log import quiet
from autocomplete.evaluate import contracts
from autocomplete.graph import core, core_calls
from autocomplete.quantize import recipes
from autocomplete.runtime import interpreters, sessions, text_model
from autocomplete.tflite import edit, flatbuffer, linker
from autocomplete.tokenizer import tokenizer
from helpers.greedy import keras_greedy
from helpers.modes import MODES, settings
from helpers.toy_models import driver, quantized, steps
from helpers.toys import PROMPTS, SEQUENCE, SLOTS, WINDOW, Toy

pytestmark = pytest.mark.slow


def linked(driver_model: Any, core_path: Path, folder: Path) -> Any:
    path = folder / "linked.tflite"
    flatbuffer.write(linker.link(driver_model, flatbuffer.read(core_path)), path)
    return text_model.interpreted(interpreters.tensorflow(path, 1))


@pytest.fixture(scope="module")
def complete(greedy_driver: Any, core_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return linked(greedy_driver, core_path, tmp_path_factory.mktemp("linked"))


def expected(toy: Toy, prompt: str, sequence: int = SEQUENCE, window: int = WINDOW) -> bytes:
    ids = [toy.vocabulary.start_token_id, *toy.bpe.encode(prompt).ids[-window:]]
    pieces = tokenizer.token_bytes(toy.vocabulary.ids)
    continuation = b"".join(pieces[t] for t in keras_greedy(toy, ids, sequence)).decode(errors="ignore").encode()
    limit = max(788 - len(prompt.encode()), 0)
    return prompt.encode() + continuation[:limit].decode(errors="ignore").encode()


@pytest.mark.parametrize("prompt", [*PROMPTS, "", "word " * 60, "x" * 700, "é" * 393 + "a"])
def test_greedy_text_equals_keras(toy: Toy, complete: Any, prompt: str) -> None:
    assert complete(prompt.encode()) == expected(toy, prompt)


@pytest.mark.parametrize(("sequence", "window"), [(2, 1), (3, 1), (18, 7), (SLOTS, SLOTS // 2)])
def test_shortest_and_longest_lengths_equal_keras(toy: Toy, tmp_path: Path, sequence: int, window: int) -> None:
    with quiet():
        flatbuffer.write(core.build(toy.weights, SLOTS, [], steps(sequence)), tmp_path / "core.tflite")
    complete = linked(driver(toy, sequence=sequence, window=window), tmp_path / "core.tflite", tmp_path)
    for prompt in ("", "a", "Returns the value of it"):
        assert complete(prompt.encode()) == expected(toy, prompt, sequence, window)


@pytest.mark.parametrize("name", contracts.HOSTILE_PROMPTS)
def test_hostile_prompts_are_answered(complete: Any, name: str) -> None:
    prompt = contracts.HOSTILE_PROMPTS[name]
    answer = complete(prompt)
    assert answer.startswith(prompt)
    assert len(answer) <= max(788, len(prompt))


def test_sampling_differs_between_calls_and_between_interpreters(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    model = driver(toy, "top_k")
    complete = linked(model, core_path, tmp_path)
    answers = [complete(b"Returns the") for _ in range(4)]
    assert len(set(answers)) > 1
    assert [linked(model, core_path, tmp_path)(b"Returns the") for _ in range(4)] != answers


def test_a_fixed_seed_repeats_after_each_load(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    model = driver(toy, "temperature", seed=11)
    runs = []
    for _ in range(2):
        complete = linked(model, core_path, tmp_path)
        runs.append([complete(b"Returns the") for _ in range(3)])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 1


@pytest.mark.parametrize("mode", [m for m in MODES if settings(m).get("text", True)])
def test_a_quantized_core_generates_the_same_linked_and_not_linked(
    toy: Toy, greedy_driver: Any, core_path: Path, tmp_path: Path, mode: str
) -> None:
    path = tmp_path / "core.tflite"
    flatbuffer.write(quantized(toy, core_path, mode, text=True), path)
    complete = linked(greedy_driver, path, tmp_path)
    session = sessions.StepSession(interpreters.tensorflow(path, 1))
    pieces = tokenizer.token_bytes(toy.vocabulary.ids)
    for prompt in PROMPTS:
        ids = [toy.vocabulary.start_token_id, *toy.bpe.encode(prompt).ids]
        session.reset()
        session.prefill(np.array(ids[:-1], np.int32), session.chunks[0])
        generated = [ids[-1]]
        while len(ids) + len(generated) - 1 < SEQUENCE and (
            len(generated) == 1 or generated[-1] != toy.vocabulary.end_token_id
        ):
            generated.append(int(session.decode(generated[-1]).argmax()))
        new = b"".join(pieces[t] for t in generated[1:]).decode(errors="ignore").encode()
        assert complete(prompt.encode()) == prompt.encode() + new


def test_linking_changes_neither_part_and_is_reproducible(greedy_driver: Any, core_path: Path) -> None:
    before = flatbuffer.serialize(greedy_driver)
    core_model = flatbuffer.read(core_path)
    first = flatbuffer.serialize(linker.link(greedy_driver, core_model))
    assert flatbuffer.serialize(linker.link(greedy_driver, core_model)) == first
    assert flatbuffer.serialize(greedy_driver) == before
    assert flatbuffer.serialize(core_model) == core_path.read_bytes()


def test_a_driver_s_bytes_repeat(toy: Toy) -> None:
    assert len({flatbuffer.serialize(driver(toy, "top_k")) for _ in range(3)}) == 1


def test_no_placeholder_and_no_custom_op_remains(greedy_driver: Any, core_path: Path) -> None:
    names = edit.operator_names(linker.link(greedy_driver, flatbuffer.read(core_path)))
    assert not [n for n in names if n.startswith(core_calls.PLACEHOLDER)]
    assert [n for n in names if n.startswith("Flex")]


def test_a_core_for_another_length_of_answers_is_refused(toy: Toy, greedy_driver: Any) -> None:
    with quiet():
        other = core.build(toy.weights, SLOTS, [], steps(SEQUENCE - 8))
    with pytest.raises(UserError, match=r"past_mask.*run `dvc repro`"):
        linker.link(greedy_driver, other)


def test_a_core_without_the_signature_is_refused(toy: Toy, greedy_driver: Any) -> None:
    with quiet():
        other = core.build(toy.weights, SLOTS, [16], {})
    with pytest.raises(UserError, match=r"no signature 'step_8'; it has: .*prefill_16"):
        linker.link(greedy_driver, other)


def test_blockwise_scales_follow_their_tensors(toy: Toy, greedy_driver: Any, core_path: Path) -> None:
    """litert-quantizer names scales of int4 blocks by tensor index, which linking moves."""
    recipe = [
        {
            "regex": ".*",
            "operation": "FULLY_CONNECTED",
            "algorithm_key": "min_max_uniform_quantize",
            "op_config": {
                "weight_tensor_config": {
                    "num_bits": 4,
                    "symmetric": True,
                    "granularity": "BLOCKWISE_32",
                    "dtype": "INT",
                },
                "compute_precision": "INTEGER",
                "explicit_dequantize": False,
                "skip_checks": False,
                "min_weight_elements": 0,
            },
        }
    ]
    model = linker.link(greedy_driver, recipes.quantize(core_path, recipe))
    blockwise_tensors = 0
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            details = tensor.quantization.details if tensor.quantization else None
            if details is not None:
                blockwise_tensors += 1
                scales = subgraph.tensors[details.scales]
                blocks = tensor.shape[0] * tensor.shape[1] // details.blockSize
                assert int(np.prod(scales.shape)) == blocks
    assert blockwise_tensors >= 9
