"""The tokens flavour generates the same tokens as Keras, with built-in operators only."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autocomplete.common.native_log import quiet
from autocomplete.graph import loop_plan, tokens_driver
from autocomplete.runtime import interpreters
from autocomplete.tflite import edit, flatbuffer, linker
from helpers.greedy import keras_greedy
from helpers.toys import CHUNK, SEQUENCE, Toy

Generate = Callable[..., tuple[list[int], int]]


@pytest.fixture(scope="module")
def tokens_model(tokens_driver: Any, core_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "tokens.tflite"
    flatbuffer.write(linker.link(tokens_driver, flatbuffer.read(core_path)), path)
    return path


def generator(interpreter: Any) -> Generate:
    call = interpreter.get_signature_runner("generate")

    def generate(ids: list[int], maximum: int = SEQUENCE, **sampler: float) -> tuple[list[int], int]:
        rule = {"temperature": 0.0, "top_p": 1.0} | sampler
        inputs: dict[str, Any] = {n: np.float32(rule[n]) for n in ("temperature", "top_p")}
        inputs |= {n: np.int32(sampler.get(n, 0)) for n in ("top_k", "seed")}
        tokens = np.full((1, SEQUENCE), 7, np.int32)
        tokens[0, : len(ids)] = ids
        out = call(tokens=tokens, length=np.int32(len(ids)), max_length=np.int32(maximum), **inputs)
        return out["tokens"][0].tolist(), int(out["length"])

    return generate


@pytest.fixture(scope="module")
def generate(tokens_model: Path) -> Generate:
    return generator(interpreters.litert(tokens_model, 1))


def prompt(length: int) -> list[int]:
    return [(37 * i + 11) % 300 + 2 for i in range(length)]


def test_built_in_operators_only(tokens_model: Path) -> None:
    names = edit.operator_names(flatbuffer.read(tokens_model))
    assert not [n for n in names if n.startswith("Flex") or not n.isupper()]


@pytest.mark.parametrize("length", [*range(1, 2 * CHUNK + 3), SEQUENCE - 1, SEQUENCE])
def test_greedy_equals_keras_for_every_length_of_prompt(toy: Toy, generate: Generate, length: int) -> None:
    ids, count = generate(prompt(length))
    expected = [*prompt(length), *keras_greedy(toy, prompt(length), SEQUENCE)]
    assert ids[:count] == expected
    assert set(ids[count:]) <= {toy.vocabulary.end_token_id}


@pytest.mark.parametrize("threads", [1, 2])
def test_one_interpreter_answers_again_and_again(toy: Toy, tokens_model: Path, threads: int) -> None:
    """Shapes grow within a call and shrink between calls."""
    generate = generator(interpreters.litert(tokens_model, threads))
    fresh = {n: generator(interpreters.litert(tokens_model, threads))(prompt(n)) for n in (1, 3, 30)}
    for length in (30, 1, 3, 30, 3, 1):
        assert generate(prompt(length)) == fresh[length]


@pytest.mark.parametrize("maximum", [0, 1, 5, 6, 20, SEQUENCE, SEQUENCE + 9])
def test_no_more_than_max_length(toy: Toy, generate: Generate, maximum: int) -> None:
    whole, _ = generate(prompt(5))
    ids, count = generate(prompt(5), maximum)
    assert count == max(5, min(maximum, SEQUENCE))
    assert ids[:count] == whole[:count]


def test_stops_at_the_end_token(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    with quiet():
        never = tokens_driver.convert(toy.weights.config, (-1,), loop_plan.LoopLengths(SEQUENCE, CHUNK, 4))
    flatbuffer.write(linker.link(never, flatbuffer.read(core_path)), tmp_path / "never.tflite")
    unstopped, _ = generator(interpreters.litert(tmp_path / "never.tflite", 1))(prompt(5))
    for stop in (6, 7, 12):  # the third, … generated token ends the text
        end = unstopped[stop]
        with quiet():
            driver = tokens_driver.convert(toy.weights.config, (end,), loop_plan.LoopLengths(SEQUENCE, CHUNK, 4))
        flatbuffer.write(linker.link(driver, flatbuffer.read(core_path)), tmp_path / "stops.tflite")
        ids, count = generator(interpreters.litert(tmp_path / "stops.tflite", 1))(prompt(5))
        first = unstopped.index(end, 5)
        assert ids == unstopped[: first + 1] + [end] * (SEQUENCE - first - 1)
        assert count == first + 1


def test_a_seed_repeats_and_another_differs(generate: Generate) -> None:
    answers = {seed: generate(prompt(5), temperature=1.0, seed=seed) for seed in range(4)}
    assert len({tuple(ids) for ids, _ in answers.values()}) == 4
    assert generate(prompt(5), temperature=1.0, seed=2) == answers[2]


def test_top_k_1_and_a_small_nucleus_are_greedy(generate: Generate) -> None:
    greedy = generate(prompt(5))
    assert generate(prompt(5), temperature=2.0, top_k=1, seed=3) == greedy
    assert generate(prompt(5), temperature=2.0, top_p=1e-6, seed=3) == greedy
    assert generate(prompt(5), temperature=2.0, top_k=5, seed=3) != greedy


@pytest.mark.parametrize(("chunk", "recent"), [(2, 2), (3, 7), (SEQUENCE, SEQUENCE)])
def test_chunks_and_room_change_nothing(toy: Toy, core_path: Path, tmp_path: Path, chunk: int, recent: int) -> None:
    """The speed-ups on and off: the prompt at once or bit by bit, `past` joined often or never."""
    with quiet():
        driver = tokens_driver.convert(
            toy.weights.config, toy.vocabulary.end_token_ids, loop_plan.LoopLengths(SEQUENCE, chunk, recent)
        )
    flatbuffer.write(linker.link(driver, flatbuffer.read(core_path)), tmp_path / "tokens.tflite")
    generate = generator(interpreters.litert(tmp_path / "tokens.tflite", 1))
    for length in (1, 9, 20):
        ids, count = generate(prompt(length))
        assert ids[:count] == [*prompt(length), *keras_greedy(toy, prompt(length), SEQUENCE)]


@pytest.mark.parametrize("draft_tokens", [2, 5, 8])
def test_guesses_change_nothing(toy: Toy, core_path: Path, tmp_path: Path, draft_tokens: int) -> None:
    """On against off, on prompts that repeat themselves: guesses that hold, that fail, and those that meet the end."""
    models = {}
    for name, count in {"on": draft_tokens, "off": 1}.items():
        lengths = loop_plan.LoopLengths(SEQUENCE, CHUNK, 4, count)
        with quiet():
            driver = tokens_driver.convert(toy.weights.config, toy.vocabulary.end_token_ids, lengths)
        flatbuffer.write(linker.link(driver, flatbuffer.read(core_path)), tmp_path / name)
        models[name] = generator(interpreters.litert(tmp_path / name, 1))
    for period in (1, 2, 3, 5):
        for length in (2, 7, 12, SEQUENCE - 3):
            ids = [prompt(period)[i % period] for i in range(length)]
            for maximum in (length + 4, SEQUENCE):
                for rule in ({}, {"temperature": 1.0, "seed": 5}):
                    answers = {name: call(ids, maximum, **rule) for name, call in models.items()}
                    assert answers["on"] == answers["off"]
                assert answers["on"][0][:length] == ids
            whole, count = models["on"](ids)
            assert whole[:count] == [*ids, *keras_greedy(toy, ids, SEQUENCE)]
