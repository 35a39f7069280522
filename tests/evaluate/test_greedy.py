"""Greedy answers: Keras' own, by a faster decoder that Keras corrects; and shares of models that agree with them."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from autocomplete.evaluate import greedy
from autocomplete.evaluate.mode_files import ModeFiles, ModelFiles
from helpers.greedy import keras_greedy
from helpers.toy_models import mode_files_of
from helpers.toys import PROMPTS, SEQUENCE, Toy


@pytest.fixture(scope="module")
def mode(toy: Toy, core_path: Path) -> ModeFiles:
    files: ModeFiles = mode_files_of(toy, core_path)
    return files


@pytest.fixture(scope="module")
def keras_answers(toy: Toy, mode: ModeFiles) -> list[list[int]]:
    return [keras_greedy(toy, mode.prompt_ids(p), SEQUENCE) for p in PROMPTS]


def test_the_core_s_answers_equal_keras(toy: Toy, mode: ModeFiles, keras_answers: list[list[int]]) -> None:
    assert greedy.keras_continuations(mode, toy.model, PROMPTS) == keras_answers


@pytest.mark.parametrize("wrong_token", [5, 1])  # an ordinary one, and the one that ends a text
def test_keras_corrects_a_decoder_that_errs(
    toy: Toy,
    mode: ModeFiles,
    keras_answers: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
    wrong_token: int,
) -> None:
    continue_prompt = greedy.continue_prompt

    def erring(session: object, prompt_ids: Sequence[int], files: ModelFiles) -> list[int]:
        ids = continue_prompt(mode.session(mode.core), prompt_ids, files)
        continuation = [] if wrong_token == toy.end else ids[4:]
        return [*ids[:3], wrong_token, *continuation][: len(ids)]

    monkeypatch.setattr(greedy, "continue_prompt", erring)
    assert greedy.keras_continuations(mode, toy.model, PROMPTS[:2]) == keras_answers[:2]


def test_a_core_matches_its_own_answers(mode: ModeFiles, keras_answers: list[list[int]]) -> None:
    assert greedy.match_core(mode, PROMPTS, keras_answers) == {"greedy_match": 1.0}
    one_wrong = [[*keras_answers[0][:-1], 7], *keras_answers[1:]]
    assert greedy.match_core(mode, PROMPTS, one_wrong) == {"greedy_match": 1 - 1 / len(PROMPTS)}
    # prompts that fill the sequence have no continuation
    assert greedy.match_core(mode, PROMPTS, [[]] * len(PROMPTS)) == {"greedy_match": 1.0}


def test_a_core_generates_no_suppressed_tokens(toy: Toy, mode: ModeFiles, keras_answers: list[list[int]]) -> None:
    suppressed = sorted({i for ids in keras_answers for i in ids if i != toy.end})[:3]
    conversion = mode.conversion.model_copy(update={"suppress_tokens": suppressed})
    suppressing = dataclasses.replace(mode, conversion=conversion)
    expected = [keras_greedy(toy, mode.prompt_ids(p), SEQUENCE, suppressed) for p in PROMPTS]
    assert greedy.keras_continuations(suppressing, toy.model, PROMPTS) == expected
    assert greedy.match_core(suppressing, PROMPTS, expected) == {"greedy_match": 1.0}
