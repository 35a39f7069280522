"""The re-authored decoder equals Keras: same logits, same tokens, with and without the cache."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autocomplete.evaluate import greedy, keras_reference
from autocomplete.runtime import compiled, interpreters, sessions
from helpers.greedy import keras_greedy
from helpers.toy_models import mode_files_of
from helpers.toys import CHUNK, PROMPTS, SEQUENCE, SLOTS, Toy


@pytest.fixture(scope="module", params=["interpreter", "compiled"])
def session(request: pytest.FixtureRequest, core_path: Path) -> Any:
    if request.param == "interpreter":
        return sessions.InterpreterSession(interpreters.litert(core_path, 1))
    return compiled.CompiledSession(compiled.load(core_path, 1))


def ids_of(toy: Toy, prompt: str) -> list[int]:
    return [toy.vocabulary.start_token_id, *toy.bpe.encode(prompt).ids]


def random_ids(toy: Toy, count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, toy.weights.config.vocab_size, count).astype(np.int32)


@pytest.mark.parametrize("read_by_prefill", [0, 1, 5, CHUNK, CHUNK + 3, 32])
def test_logits_equal_keras(toy: Toy, session: Any, read_by_prefill: int) -> None:
    tokens = random_ids(toy, 40)
    expected = keras_reference.logits(toy.model, tokens[None])[0]
    session.reset()
    session.prefill(tokens[:read_by_prefill], CHUNK)
    logits = np.stack([session.decode(int(t)) for t in tokens[read_by_prefill:]])
    differences = np.abs(logits - expected[read_by_prefill:])
    assert differences.max() < 1e-4
    assert differences.mean() < 1e-5


def test_both_prefill_lengths_fill_the_same_cache(toy: Toy, session: Any) -> None:
    tokens = random_ids(toy, 29)
    logits = []
    for chunk in session.chunks:
        session.reset()
        session.prefill(tokens[:-1], chunk)
        logits.append(session.decode(int(tokens[-1])))
    assert np.abs(logits[0] - logits[1]).max() < 1e-5


def test_the_last_slot_is_used_and_a_padded_chunk_at_the_end_spares_older_slots(toy: Toy, session: Any) -> None:
    tokens = random_ids(toy, SLOTS)
    expected = keras_reference.logits(toy.model, tokens[None])[0]
    session.reset()
    session.prefill(tokens[: SLOTS - 3], CHUNK)  # 61 tokens: the last chunk covers slots 56 to 63
    session.position = SLOTS - 3
    session.prefill(tokens[SLOTS - 3 : SLOTS - 1], CHUNK)  # slots 61 to 68, of which the last five do not exist
    assert np.abs(session.decode(int(tokens[-1])) - expected[-1]).max() < 1e-4


def test_a_new_sequence_sees_nothing_of_the_old_one(toy: Toy, session: Any) -> None:
    tokens = random_ids(toy, 12)
    session.reset()
    logits = [session.decode(int(t)) for t in tokens]
    session.prefill(random_ids(toy, 30), CHUNK)
    session.reset()
    assert np.array_equal(logits, [session.decode(int(t)) for t in tokens])


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_tokens_equal_kerashub_generate(toy: Toy, core_path: Path, prompt: str) -> None:
    mode = mode_files_of(toy, core_path)
    continuation = greedy.continue_prompt(mode.session(core_path), ids_of(toy, prompt), mode)
    assert continuation == keras_greedy(toy, ids_of(toy, prompt), SEQUENCE)


def test_greedy_matches_accepts_the_tokens_of_generate(toy: Toy) -> None:
    prompts = [ids_of(toy, p) for p in PROMPTS]
    continuations = [keras_greedy(toy, i, SEQUENCE) for i in prompts]
    assert keras_reference.greedy_matches(toy.model, prompts, continuations) == [True] * len(prompts)
    wrong = [[*s[:-1], (s[-1] + 1) % 300] for s in continuations]
    assert keras_reference.greedy_matches(toy.model, prompts, wrong) == [False] * len(prompts)
    suppressed = [s[0] for s in continuations]
    without_suppressed = [keras_greedy(toy, i, SEQUENCE, suppressed) for i in prompts]
    assert keras_reference.greedy_matches(toy.model, prompts, without_suppressed, suppressed) == [True] * len(prompts)
    assert keras_reference.greedy_matches(toy.model, prompts, without_suppressed) == [False] * len(prompts)
