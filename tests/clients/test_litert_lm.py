"""The core in LiteRT-LM, Google's runtime for language models on devices: the real engine, on a .litertlm file.

The engine returns text, not token ids, and text hides tokens: all invalid UTF-8 looks alike. Where a test compares
tokens, the bundle's tokenizer has no decoder: the ids are the same, but an answer spells its tokens, between blanks.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import litert_lm
import numpy as np
import pytest
import yaml

from autocomplete.quantize import recipes
from autocomplete.runtime import interpreters, sessions
from autocomplete.tflite import edit, flatbuffer
from autocomplete.tflite.signatures import SCORE
from helpers.greedy import keras_greedy
from helpers.litert_lm_engine import answer, bundle, engine, ids, prefilled, spelled
from helpers.toy_models import steps
from helpers.toys import CHUNK, PROMPTS, SLOTS, TEXT, Toy, client_tokenizer

pytestmark = pytest.mark.slow

TARGET = "Raises an error if the value is missing"
LENGTHS = (CHUNK, CHUNK + 1, 32, 33, 32 + CHUNK, SLOTS - 2)  # tokens that prefill reads; the last leaves room for one


def answer_ids(toy: Toy, running: litert_lm.Engine, prompt: str) -> list[int]:
    """The ids of an answer whose text spells its tokens."""
    return [toy.vocabulary.ids[token] for token in answer(running, prompt).split()]


def prompts(toy: Toy) -> list[str]:
    """PROMPTS, and beginnings of a text of each of LENGTHS."""
    text = toy.bpe.encode(" ".join(TEXT[1].split())).ids
    return [*PROMPTS, *(toy.bpe.decode(text[:n]) for n in LENGTHS)]


def loop(core: Path, prompt: Sequence[int], stop: Collection[int], room: int = SLOTS) -> list[int]:
    """Our own greedy loop: the likeliest tokens to a stop token (left out) or to `room` tokens in all."""
    session = sessions.InterpreterSession(interpreters.litert(core, 1))
    session.prefill(np.array(prompt[:-1], np.int32), CHUNK)
    tokens = list(prompt)
    while len(tokens) < room:
        tokens.append(int(session.decode(tokens[-1]).argmax()))
        if tokens[-1] in stop:
            return tokens[len(prompt) : -1]
    return tokens[len(prompt) :]


def log_likelihoods(core: Path, prompt: Sequence[int], target: Sequence[int]) -> np.ndarray:
    """Of each token of a target after a prompt, by our runner."""
    session = sessions.InterpreterSession(interpreters.litert(core, 1))
    session.prefill(np.array(prompt[:-1], np.int32), CHUNK)
    logits = np.stack([session.decode(t) for t in (prompt[-1], *target[:-1])]).astype(np.float64)
    return np.take_along_axis(logits, np.array(target)[:, None], 1)[:, 0] - np.logaddexp.reduce(logits, axis=1)


@pytest.fixture(scope="module")
def core_path(core_path: Path, toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy's core as quantize ships it: without the signatures that the drivers call."""
    path = tmp_path_factory.mktemp("shipped") / "core.tflite"
    flatbuffer.write(edit.without_signatures(flatbuffer.read(core_path), {*steps(), SCORE}), path)
    return path


@pytest.fixture
def quantized(core_path: Path, tmp_path: Path) -> Path:
    """The toy's core with int8 weights and dynamically quantized activations."""
    recipe = yaml.safe_load(Path("conf/quantize/dynamic_range.yaml").read_text())["recipe"]
    flatbuffer.write(recipes.quantize(core_path, recipe), tmp_path / "quantized.tflite")
    return tmp_path / "quantized.tflite"


def test_float_tokens_are_those_of_keras_and_of_our_loop(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    end = toy.vocabulary.end_token_id
    with engine(bundle(toy, core_path, tmp_path, spelled(toy))) as running:
        assert running.bos_token_id == toy.vocabulary.start_token_id
        assert running.eos_token_ids == [[end]]
        assert all(running.tokenize(p) == toy.bpe.encode(p).ids for p in prompts(toy))
        answers = {p: answer_ids(toy, running, p) for p in prompts(toy)}
    assert [len(ids(toy, p)) - 1 for p in answers][len(PROMPTS) :] == list(LENGTHS)
    assert len({tuple(a) for a in answers.values()}) == len(PROMPTS) + len(LENGTHS)
    for prompt, tokens in answers.items():
        assert tokens == loop(core_path, ids(toy, prompt), {end}), prompt
    for prompt in PROMPTS:
        assert answers[prompt] == [t for t in keras_greedy(toy, ids(toy, prompt), SLOTS) if t != end], prompt


def test_quantized_tokens_are_those_of_our_loop(toy: Toy, core_path: Path, quantized: Path, tmp_path: Path) -> None:
    end = toy.vocabulary.end_token_id
    with engine(bundle(toy, quantized, tmp_path, spelled(toy))) as running:
        answers = {p: answer_ids(toy, running, p) for p in prompts(toy)}
    assert any(tokens != loop(core_path, ids(toy, p), {end}) for p, tokens in answers.items())  # quantized indeed
    for prompt, tokens in answers.items():
        assert tokens == loop(quantized, ids(toy, prompt), {end}), prompt


def test_log_likelihoods_are_those_of_our_runner(toy: Toy, core_path: Path, quantized: Path, tmp_path: Path) -> None:
    target = toy.bpe.encode(TARGET).ids
    exact = log_likelihoods(core_path, ids(toy, PROMPTS[0]), target)
    assert np.abs(log_likelihoods(quantized, ids(toy, PROMPTS[0]), target) - exact).max() > 1e-2
    for core in (core_path, quantized):
        with engine(bundle(toy, core, tmp_path / core.stem, spelled(toy))) as running:
            for prompt in PROMPTS:
                with prefilled(running, prompt) as session:
                    scores = session.run_text_scoring([TARGET]).token_scores[0]
                # 0.18.1 goes back two tokens instead of one before it scores, and skips the prompt's last but one
                # (google-ai-edge/LiteRT-LM#3561); decoding does not. If this fails, the defect may be fixed.
                *context, _, last = ids(toy, prompt)
                expected = log_likelihoods(core, [*context, last], target)
                np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4, err_msg=prompt)


def test_text_is_that_of_the_tokens(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    with engine(bundle(toy, core_path, tmp_path, client_tokenizer(toy))) as running:
        answers = {p: answer(running, p) for p in prompts(toy)}
        for prompt, text in answers.items():
            with prefilled(running, prompt) as session:
                assert "".join(part.texts[0] for part in session.run_decode_async()) == text
    assert any("\ufffd" in text for text in answers.values())  # random weights generate invalid UTF-8
    for prompt, text in answers.items():
        assert text == toy.bpe.decode(loop(core_path, ids(toy, prompt), {toy.vocabulary.end_token_id})), prompt


def test_settings_are_obeyed(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    stop, room = loop(core_path, toy.bpe.encode(PROMPTS[0]).ids, ())[4:6], 40
    settings = {"max_num_tokens": room, "stop_token_ids": stop, "start_token_id": None}
    path = bundle(toy, core_path, tmp_path, spelled(toy), **settings)
    with engine(path) as running:
        for prompt in PROMPTS[:4]:
            assert answer_ids(toy, running, prompt) == loop(core_path, toy.bpe.encode(prompt).ids, stop, room), prompt
    information = litert_lm.ModelInfo(path)
    assert information.max_context_tokens == room
    assert not information.llm.supports_thinking()
    assert not information.llm.supports_function_calling()


def test_suppressed_tokens_are_not_generated(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    suppressed = list(range(100, 300))
    drawn = litert_lm.SamplerConfig(top_k=40, temperature=5.0, seed=3)
    with engine(bundle(toy, core_path, tmp_path / "free", spelled(toy))) as running:
        assert all(set(answer_ids(toy, running, p)) & set(suppressed) for p in PROMPTS)
    path = bundle(toy, core_path, tmp_path / "suppressed", spelled(toy), suppress_token_ids=suppressed)
    with engine(path) as running:
        for prompt in PROMPTS:
            expected = keras_greedy(toy, ids(toy, prompt), SLOTS, suppressed)
            assert answer_ids(toy, running, prompt) == [t for t in expected if t != toy.vocabulary.end_token_id], prompt
            with running.create_session(apply_prompt_template=False, sampler_config=drawn) as session:
                session.run_prefill([prompt])
                tokens = [toy.vocabulary.ids[t] for t in str(session.run_decode().texts[0]).split()]
            assert tokens and not set(tokens) & set(suppressed), prompt


def test_hostile_prompts(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    start, end = toy.vocabulary.start_token_id, toy.vocabulary.end_token_id
    start_name = next(token for token, index in toy.vocabulary.ids.items() if index == start)
    with engine(bundle(toy, core_path, tmp_path, spelled(toy))) as running:
        for _ in range(2):  # a refused prompt leaves the engine unchanged
            assert answer_ids(toy, running, "") == loop(core_path, [start], {end})
            assert answer_ids(toy, running, f"a{start_name}b") == loop(core_path, ids(toy, f"a{start_name}b"), {end})
            # the only name that is not text: at the very beginning the engine reads it as the start token
            assert answer_ids(toy, running, f"{start_name}b") == loop(core_path, [start, *ids(toy, "b")], {end})
            with pytest.raises(RuntimeError, match="prefill failed"):
                answer(running, "a " * SLOTS)


def test_second_start_reads_the_weight_cache(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    path = bundle(toy, core_path, tmp_path, spelled(toy))
    with engine(path) as running:
        first = answer_ids(toy, running, PROMPTS[0])
    (cache,) = path.parent.glob("toy.litertlm_*")
    modified = cache.stat().st_mtime_ns
    with engine(path) as running:
        assert answer_ids(toy, running, PROMPTS[0]) == first
    assert cache.stat().st_mtime_ns == modified


def test_bytes_depend_only_on_the_inputs(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    first, second = (bundle(toy, core_path, tmp_path / name, client_tokenizer(toy)) for name in "ab")
    other = bundle(toy, core_path, tmp_path / "c", client_tokenizer(toy), max_num_tokens=SLOTS - 1)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != other.read_bytes()
    assert {p.name for p in first.parent.iterdir()} == {"tokenizer.json", "toy.litertlm"}
