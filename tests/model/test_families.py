"""Each family's decoder equals Keras: same logits, same tokens, with and without the cache, in every signature."""

from pathlib import Path
from typing import Any

import keras_hub
import numpy as np
import pytest
from sentencepiece import SentencePieceProcessor

from autocomplete.common.native_log import quiet
from autocomplete.evaluate import keras_reference
from autocomplete.graph import core, loop_plan, tokens_driver
from autocomplete.model import families
from autocomplete.presets import loading, presets
from autocomplete.quantize import recipes
from autocomplete.runtime import compiled, interpreters, sessions, text_model, tokens_model
from autocomplete.tflite import flatbuffer, linker
from autocomplete.tokenizer import sentencepiece_model, tokenizer
from helpers.families import FAMILIES, quietly
from helpers.greedy import keras_greedy
from helpers.modes import settings
from helpers.toy_models import driver, steps
from helpers.toys import CHUNK, PROMPTS, SEQUENCE, SLOTS, TEXT, WINDOW, Toy

pytestmark = pytest.mark.slow

# KerasHub 0.32's generate() fails: GPT-NeoX rotates the single query of a step as if its position were 0, and generates
# other tokens than its own uncached model; Qwen with a window raises an error while TensorFlow traces it.
_GENERATE_FAILS = {"gpt_neo_x", "qwen_windowed"}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def toy_and_core(family: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Toy, Path]:
    """A family's toy, and its float32 core."""
    folder = tmp_path_factory.mktemp(family)
    toy = quietly(FAMILIES[family], folder)
    with quiet():
        flatbuffer.write(core.build(toy.weights, SLOTS, [CHUNK, 32], steps(), score_length=16), folder / "core.tflite")
    return toy, folder / "core.tflite"


@pytest.fixture(scope="module")
def driver_model(toy_and_core: tuple[Toy, Path]) -> Any:
    """The family's tokens driver."""
    toy, _ = toy_and_core
    with quiet():
        return tokens_driver.convert(toy.weights.config, (toy.end,), loop_plan.LoopLengths(SEQUENCE, CHUNK, 4))


def random_ids(toy: Toy, count: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(4, toy.weights.config.vocab_size, count).astype(np.int32)


@pytest.fixture(scope="module")
def exact(toy_and_core: tuple[Toy, Path]) -> np.ndarray:
    """Keras' logits of 40 ids in float64, the reference for rounding errors of float32."""
    toy, _ = toy_and_core
    with quiet():
        model = keras_hub.models.CausalLM.from_preset(str(toy.preset), preprocessor=None, dtype="float64")
    return np.asarray(keras_reference.logits(model, random_ids(toy, 40)[None])[0])


@pytest.mark.parametrize("read_by_prefill", [0, 5, CHUNK + 3, 32])
def test_logits_equal_keras(toy_and_core: tuple[Toy, Path], exact: np.ndarray, read_by_prefill: int) -> None:
    toy, path = toy_and_core
    ids = random_ids(toy, 40)
    expected = keras_reference.logits(toy.model, ids[None])[0]
    session = sessions.InterpreterSession(interpreters.litert(path, 1))
    session.prefill(ids[:read_by_prefill], CHUNK if read_by_prefill < 32 else 32)
    logits = np.stack([session.decode(int(t)) for t in ids[read_by_prefill:]])
    assert np.abs(logits - expected[read_by_prefill:]).max() < 1e-4
    # the rounding error is close to that of Keras: 3e-7 to 1e-5, depending on the family's depth and weights
    assert _mean_difference(logits, exact[read_by_prefill:]) < 2 * _mean_difference(
        expected[read_by_prefill:], exact[read_by_prefill:]
    )
    assert exact.dtype == np.float64
    assert expected.std() > 0.1  # logits that are all alike would prove nothing


def test_scores_equal_keras(toy_and_core: tuple[Toy, Path]) -> None:
    toy, path = toy_and_core
    ids = random_ids(toy, 40)
    expected = keras_reference.logits(toy.model, ids[None])[0]
    session = compiled.CompiledSession(compiled.load(path, 1))
    for _ in range(2):  # a second sequence does not see the first
        assert session.can_score
        assert np.abs(session.score(ids) - expected).max() < 1e-4


def _mean_difference(logits: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(logits - expected).mean())


def test_the_preset_loads_again_and_describes_itself(family: str, toy_and_core: tuple[Toy, Path]) -> None:
    toy, _ = toy_and_core
    with quiet():
        loaded = loading.load(toy.preset)
    ids = random_ids(toy, 20)[None]
    assert np.array_equal(keras_reference.logits(loaded.model, ids), keras_reference.logits(toy.model, ids))
    description = presets.describe(loaded, presets.Provenance("here"), "none")
    assert description.family == families.FAMILIES[f"{FAMILIES[family].name}Backbone"]
    assert (description.context_length, description.end_token_id) == (96, toy.end)


def test_steps_of_text_and_portable_equal_keras(toy_and_core: tuple[Toy, Path]) -> None:
    toy, path = toy_and_core
    ids = random_ids(toy, 40)
    expected = keras_reference.logits(toy.model, ids[None])[0]
    session = sessions.StepSession(interpreters.tensorflow(path, 1))
    session.prefill(ids[: CHUNK + 3], CHUNK)
    logits = np.stack([session.decode(int(t)) for t in ids[CHUNK + 3 :]])
    assert np.abs(logits - expected[CHUNK + 3 :]).max() < 1e-4


def test_greedy_tokens_equal_kerashub(
    family: str, toy_and_core: tuple[Toy, Path], driver_model: Any, tmp_path: Path
) -> None:
    toy, path = toy_and_core
    flatbuffer.write(linker.link(driver_model, flatbuffer.read(path)), tmp_path / "tokens.tflite")
    generate = tokens_model.interpreted(interpreters.litert(tmp_path / "tokens.tflite", 1))
    prompts = [random_ids(toy, n, n).tolist() for n in (1, 3, CHUNK, 21)]
    continuations = [generate(p, SEQUENCE, tokens_model.Sampling())[len(p) :] for p in prompts]
    assert all(continuations)
    assert keras_reference.greedy_matches(toy.model, prompts, continuations) == [True] * len(prompts)
    if family not in _GENERATE_FAILS:
        assert continuations == [keras_greedy(toy, p, SEQUENCE) for p in prompts]


def test_dynamic_range_hardly_changes_the_logits_and_generates(
    toy_and_core: tuple[Toy, Path], driver_model: Any, tmp_path: Path
) -> None:
    toy, path = toy_and_core
    with quiet():
        quantized = recipes.quantize(path, settings("dynamic_range")["recipe"])
    flatbuffer.write(quantized, tmp_path / "core.tflite")
    flatbuffer.write(linker.link(driver_model, quantized), tmp_path / "tokens.tflite")
    ids = random_ids(toy, 30)
    expected = keras_reference.logits(toy.model, ids[None])[0]
    session = sessions.InterpreterSession(interpreters.litert(tmp_path / "core.tflite", 1))
    session.prefill(ids[:CHUNK], CHUNK)
    logits = np.stack([session.decode(int(t)) for t in ids[CHUNK:]])
    assert 0.98 < np.corrcoef(logits.ravel(), expected[CHUNK:].ravel())[0, 1] < 1 - 1e-7
    answer = tokens_model.interpreted(interpreters.litert(tmp_path / "tokens.tflite", 1))(
        ids[:5].tolist(), 20, tokens_model.Sampling()
    )
    assert answer[:5] == ids[:5].tolist()
    assert len(answer) > 5


def test_the_text_model_generates_what_its_core_generates(toy_and_core: tuple[Toy, Path], tmp_path: Path) -> None:
    toy, path = toy_and_core
    flatbuffer.write(linker.link(driver(toy), flatbuffer.read(path)), tmp_path / "text.tflite")
    complete, session = (
        text_model.interpreted(interpreters.tensorflow(tmp_path / "text.tflite", 1)),
        sessions.StepSession(interpreters.tensorflow(path, 1)),
    )
    pieces, start = toy.vocabulary.token_bytes, toy.vocabulary.start_token_id
    for prompt in [*PROMPTS, "1234567 I'LL\n\n  x !y\n"]:
        ids = [*([] if start is None else [start]), *toy.bpe.encode(prompt).ids[-WINDOW:]]
        session.reset()
        session.prefill(np.array(ids[:-1], np.int32), CHUNK)
        generated = [ids[-1]]
        while len(ids) + len(generated) - 1 < SEQUENCE and (generated[-1] != toy.end or len(generated) == 1):
            generated.append(int(session.decode(generated[-1]).argmax()))
        text = b"".join(pieces[i] for i in generated[1:]).decode(errors="ignore")
        assert complete(prompt.encode()).decode() == prompt + text


def test_signatures_and_a_cache_of_kv_heads(toy_and_core: tuple[Toy, Path]) -> None:
    toy, path = toy_and_core
    interpreter = interpreters.litert(path, 1)
    assert set(interpreter.get_signature_list()) == {
        "prefill_8",
        "prefill_32",
        "decode",
        "score",
        "step",
        "step_1",
        "step_8",
    }
    inputs: dict[str, Any] = interpreter.get_signature_runner("decode").get_input_details()
    config = toy.weights.config
    caches = {n: list(d["shape"]) for n, d in inputs.items() if n.startswith("kv_cache")}
    assert list(caches.values()) == [[1, config.num_kv_heads, SLOTS, config.head_dim]] * (2 * config.num_layers)
    assert set(inputs) - set(caches) == {"tokens", "input_pos", "mask"}


def test_byte_pairs_keep_every_text_and_give_the_ids_of_sentencepiece(toy_and_core: tuple[Toy, Path]) -> None:
    """Compares the tokenizer of calibration, validation and tokenizer.json with SentencePiece itself."""
    toy, _ = toy_and_core
    texts = [*PROMPTS, " ", "", "x  y\n\n z", "日本語 👍", "<s> </s> <bos>", "1234567", *TEXT[:3]]
    assert [toy.bpe.decode(toy.bpe.encode(t).ids, skip_special_tokens=False) for t in texts] == texts
    model = toy.preset / tokenizer.FOLDER / sentencepiece_model.FILE
    if not model.exists():
        return
    original = SentencePieceProcessor(model_file=str(model))
    assert [toy.bpe.encode(t).ids for t in texts] == original.encode(texts)
    pieces = tokenizer.token_bytes(toy.bpe.get_vocab(), of_characters=True)
    blank = b" " if original.encode("a")[0] != original.piece_to_id("a") else b""
    assert [b"".join(pieces[i] for i in original.encode(t)) for t in texts] == [
        (blank if t else b"") + t.encode() for t in texts
    ]
