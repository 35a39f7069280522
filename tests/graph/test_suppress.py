"""Suppressed tokens are never generated, in text and tokens, greedy and sampled; otherwise all is as in Keras."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autocomplete.common.native_log import quiet
from autocomplete.graph import loop_plan, tokens_driver
from autocomplete.runtime import interpreters, text_model, tokens_model
from autocomplete.tflite import edit, flatbuffer, linker
from autocomplete.tokenizer import tokenizer
from helpers.greedy import keras_greedy
from helpers.toy_models import driver
from helpers.toys import CHUNK, PROMPTS, SEQUENCE, WINDOW, Toy

pytestmark = pytest.mark.slow

LETTERS = b"eEtT"
LENGTHS = loop_plan.LoopLengths(SEQUENCE, CHUNK, 4)


@pytest.fixture(scope="module")
def suppressed(toy: Toy) -> list[int]:
    """Every token with one of LETTERS, so that text shows whether one was generated, and the first greedy tokens."""
    pieces = tokenizer.token_bytes(toy.vocabulary.ids)
    ids = {i for i, piece in enumerate(pieces) if set(piece) & set(LETTERS)}
    ids |= {keras_greedy(toy, ids_of(toy, p), SEQUENCE)[0] for p in PROMPTS}
    assert 50 < len(ids) < len(pieces) / 2
    return sorted(ids)


@pytest.fixture(scope="module")
def models(toy: Toy, core_path: Path, suppressed: list[int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tokens.tflite and <sampler>.tflite that suppress these tokens, in a folder."""
    folder, core = tmp_path_factory.mktemp("suppressed"), flatbuffer.read(core_path)
    drivers = {n: driver(toy, n, seed=3, suppressed=suppressed) for n in ("greedy", "top_k", "top_p", "temperature")}
    with quiet():
        drivers["tokens"] = tokens_driver.convert(toy.weights.config, toy.vocabulary.end_token_ids, LENGTHS, suppressed)
    for name, loop_around in drivers.items():
        flatbuffer.write(linker.link(loop_around, core), folder / f"{name}.tflite")
    return folder


@pytest.fixture(scope="module")
def generate(models: Path) -> tokens_model.Generate:
    return tokens_model.interpreted(interpreters.litert(models / "tokens.tflite", 1))


def completer(models: Path, name: str) -> Callable[[bytes], bytes]:
    return text_model.interpreted(interpreters.tensorflow(models / f"{name}.tflite", 1))


def ids_of(toy: Toy, prompt: str) -> list[int]:
    return [toy.vocabulary.start_token_id, *toy.bpe.encode(prompt).ids[-WINDOW:]]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_tokens_and_text_equal_keras_without_these_tokens(
    toy: Toy, models: Path, generate: tokens_model.Generate, suppressed: list[int], prompt: str
) -> None:
    ids = ids_of(toy, prompt)
    expected = keras_greedy(toy, ids, SEQUENCE, suppressed)
    assert expected != keras_greedy(toy, ids, SEQUENCE)
    assert generate(ids, SEQUENCE, tokens_model.Sampling())[len(ids) :] == expected
    pieces = tokenizer.token_bytes(toy.vocabulary.ids)
    text = b"".join(pieces[t] for t in expected).decode(errors="ignore").encode()
    assert completer(models, "greedy")(prompt.encode()) == prompt.encode() + text


@pytest.mark.parametrize("rule", [(1.0, 0, 1.0), (100.0, 0, 1.0), (1.0, 5, 1.0), (1.0, 0, 0.9), (0.001, 0, 1.0)])
def test_sampled_tokens_are_not_suppressed(
    toy: Toy, generate: tokens_model.Generate, suppressed: list[int], rule: Any
) -> None:
    ids = ids_of(toy, "Returns the")
    temperature, top_k, top_p = rule
    rules = [tokens_model.Sampling(temperature, top_k, top_p, seed) for seed in range(30)]
    answers = [generate(ids, SEQUENCE, sampling)[len(ids) :] for sampling in rules]
    assert not {t for answer in answers for t in answer} & set(suppressed)
    assert len({tuple(a) for a in answers}) > 10 or rule[0] < 0.1


@pytest.mark.parametrize("name", ["top_k", "top_p", "temperature"])
def test_sampled_text_has_no_suppressed_tokens(models: Path, name: str) -> None:
    complete = completer(models, name)
    answers = [complete(b"Returns the").removeprefix(b"Returns the") for _ in range(20)]
    assert len(set(answers)) > 10
    assert not set(b"".join(answers)) & set(LETTERS)


def test_built_in_operators_only(models: Path) -> None:
    names = edit.operator_names(flatbuffer.read(models / "tokens.tflite"))
    assert not [n for n in names if n.startswith("Flex") or not n.isupper()]
