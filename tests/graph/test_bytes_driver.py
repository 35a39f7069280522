"""Bytes in, bytes out: the text flavour's text for any input, in every available runtime."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autocomplete.common.native_log import quiet
from autocomplete.evaluate import contracts, targets
from autocomplete.graph import bytes_driver, core, fixed_loop, growing_loop, loop_plan, tokens_driver
from autocomplete.runtime import bytes_model, compiled, interpreters, text_model, tokens_model
from autocomplete.tflite import flatbuffer, linker, signatures
from helpers.toy_models import bytes_driver_of
from helpers.toys import PROMPT_BYTES, PROMPTS, SEQUENCE, SLOTS, TEXT, WINDOW, Toy

pytestmark = pytest.mark.slow

GREEDY = tokens_model.Sampling()
INT32 = np.iinfo(np.int32)


@pytest.fixture(scope="module")
def path(bytes_driver: Any, core_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    portable = tmp_path_factory.mktemp("portable") / "portable.tflite"
    flatbuffer.write(linker.link(bytes_driver, flatbuffer.read(core_path)), portable)
    return portable


@pytest.fixture(scope="module")
def proceed(path: Path) -> bytes_model.Continue:
    return bytes_model.interpreted(interpreters.litert(path, 1))


@pytest.fixture(scope="module")
def complete(greedy_driver: Any, core_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], bytes]:
    model = tmp_path_factory.mktemp("text") / "text.tflite"
    flatbuffer.write(linker.link(greedy_driver, flatbuffer.read(core_path)), model)
    return text_model.interpreted(interpreters.tensorflow(model, 1))


def cut_texts(count: int, seed: int) -> list[bytes]:
    rng, prompts = random.Random(seed), []
    for _ in range(count):
        text = rng.choice(TEXT)
        first = rng.randrange(max(len(text) - 60, 1))
        prompts.append(text[first : first + rng.randint(1, 60)].encode())
    return prompts


def test_greedy_text_is_the_text_flavours(proceed: bytes_model.Continue, complete: Callable[[bytes], bytes]) -> None:
    for prompt in [*(p.encode() for p in PROMPTS), b"", *cut_texts(40, seed=1)]:
        assert prompt + proceed(prompt, SEQUENCE, GREEDY, False) == complete(prompt)


@pytest.mark.parametrize("form", ["compiled", "TF 2.18", "two threads"])
def test_the_same_in_every_runtime(path: Path, proceed: bytes_model.Continue, form: str) -> None:
    if form == "compiled":
        other = bytes_model.compiled(compiled.load(path, 1))
    else:
        other = bytes_model.interpreted(
            interpreters.tensorflow(path, 1) if form == "TF 2.18" else interpreters.litert(path, 2)
        )
    drawn = tokens_model.Sampling(1.0, 20, 0.9, 7)
    for prompt in [*(p.encode() for p in PROMPTS), b"", *cut_texts(12, seed=2)]:
        for max_tokens, rule, complete_word in ((SEQUENCE, GREEDY, False), (9, GREEDY, True), (SEQUENCE, drawn, False)):
            assert other(prompt, max_tokens, rule, complete_word) == proceed(prompt, max_tokens, rule, complete_word)


@pytest.mark.parametrize("lengths", [(SEQUENCE, 7, 4), (20, 8, 16)])
def test_a_prompt_that_leaves_room_for_a_few_tokens(toy: Toy, tmp_path: Path, lengths: tuple[int, int, int]) -> None:
    """Chunks that end behind the last slot of `past`, prompt ends that are read token by token, a short first round.

    The tokens model, which has the other loop, generates the same.
    """
    sequence, window = lengths[0], lengths[0] - 3
    loop, paths = loop_plan.LoopLengths(*lengths), {n: tmp_path / n for n in ("core", "portable", "tokens")}
    with quiet():
        steps = fixed_loop.step_shapes(loop) | growing_loop.step_shapes(loop)
        flatbuffer.write(core.build(toy.weights, SLOTS, [8], steps), paths["core"])
        limits = bytes_driver.BytesLimits(loop, window, PROMPT_BYTES)
        drivers = {
            "portable": bytes_driver.convert(toy.vocabulary, toy.weights.config, limits),
            "tokens": tokens_driver.convert(toy.weights.config, toy.vocabulary.end_token_ids, loop),
        }
    for name, driver in drivers.items():
        flatbuffer.write(linker.link(driver, flatbuffer.read(paths["core"])), paths[name])
    proceed = bytes_model.interpreted(interpreters.litert(paths["portable"], 1))
    generate = tokens_model.interpreted(interpreters.litert(paths["tokens"], 1))
    sizes = set()
    for prompt in (TEXT[i][:length] for i in range(3) for length in range(1, PROMPT_BYTES, 9)):
        ids = [toy.vocabulary.start_token_id, *toy.bpe.encode(prompt).ids[-window:]]
        new = b"".join(toy.vocabulary.token_bytes[i] for i in generate(ids, sequence, GREEDY)[len(ids) :])
        answer = proceed(prompt.encode(), sequence, GREEDY, False)
        assert answer == new.decode(errors="ignore").encode()
        sizes.add(len(answer))
    assert len(sizes) > 3


def test_built_in_operators_only_and_every_target_that_has_them(path: Path) -> None:
    assert all(contracts.portable_interface(path).values())
    fits = targets.check(path)
    assert {n for n, c in fits.items() if not c.fits} == {"litert_lm", "gpu_delegate", "android_demo"}
    assert fits["android_demo"].offence == "no signature serving_default"


def test_the_rules_that_validate_checks(proceed: bytes_model.Continue) -> None:
    assert all(contracts.portable_answers(proceed, [p.encode() for p in PROMPTS]).values())


def test_no_more_tokens_than_max_tokens(toy: Toy, proceed: bytes_model.Continue) -> None:
    pieces, prompt = toy.vocabulary.token_bytes, b"Returns the"
    whole = proceed(prompt, SEQUENCE, GREEDY, False)
    for max_tokens in (INT32.min, -1, 0):
        assert proceed(prompt, max_tokens, GREEDY, False) == proceed(prompt, max_tokens, GREEDY, True) == b""
    for max_tokens in (1, 2, 5, 20):
        text = proceed(prompt, max_tokens, GREEDY, False)
        assert whole.startswith(text) and len(text) <= max_tokens * max(map(len, pieces))
    assert proceed(prompt, 1, GREEDY, False) != proceed(prompt, 2, GREEDY, False)
    assert proceed(prompt, INT32.max, GREEDY, False) == whole


def test_extreme_numbers_are_accepted(proceed: bytes_model.Continue) -> None:
    for seed in (INT32.min, -1, INT32.max):
        for top_k in (INT32.min, INT32.max):
            rule = tokens_model.Sampling(1.0, top_k, 1.0, seed)
            text = proceed(b"a", SEQUENCE, rule, True)
            assert text == proceed(b"a", SEQUENCE, rule, True)
            assert contracts.is_utf8(text)


def test_an_invalid_prompt_length_is_clipped(path: Path, proceed: bytes_model.Continue) -> None:
    call = interpreters.litert(path, 1).get_signature_runner(signatures.GENERATE)
    text = ("word " * PROMPT_BYTES).encode()[:PROMPT_BYTES]
    for length, prompt in ((-5, b""), (INT32.min, b""), (PROMPT_BYTES + 1, text), (INT32.max, text)):
        inputs = bytes_model.inputs(text, 8, GREEDY, False, PROMPT_BYTES) | {
            "prompt_length": np.array(length, np.int32)
        }
        answer = call(**inputs)
        new_text = answer["text"][0, : int(answer["text_length"])].tobytes()
        assert new_text == proceed(prompt, 8, GREEDY, False)


def test_bytes_behind_the_prompt_are_ignored(path: Path) -> None:
    call, outputs = interpreters.litert(path, 1).get_signature_runner(signatures.GENERATE), set()
    for fill in (0, 0x20, 0x80, 0xA9, 0xFF):
        inputs = bytes_model.inputs("naïve caf\xc3".encode("latin-1")[:-1], 12, GREEDY, True, PROMPT_BYTES)
        inputs["prompt"][0, int(inputs["prompt_length"]) :] = fill
        outputs.add(call(**inputs)["text"].tobytes())
    assert len(outputs) == 1


def test_the_last_bytes_of_a_longer_prompt_are_read(toy: Toy, proceed: bytes_model.Continue) -> None:
    """Here they exceed the context window, so the text is the same as after the whole prompt."""
    last = " ".join(TEXT[0].split())[-PROMPT_BYTES:].encode()
    assert len(toy.bpe.encode(last.decode()).ids) > WINDOW + 2
    text = proceed(last, SEQUENCE, GREEDY, False)
    assert text == proceed(b"something else before " + last, SEQUENCE, GREEDY, False)
    assert text == proceed("é".encode() * 300 + last, SEQUENCE, GREEDY, False)


@pytest.mark.parametrize(
    ("text", "room", "expected"),
    [
        ("aé".encode(), 3, "aé".encode()),
        ("aé".encode(), 2, "é".encode()),
        ("aé".encode(), 1, b""),
        (b"", 4, b""),
        ("x👍y".encode(), 4, b"y"),
        ("x👍y".encode(), 5, "👍y".encode()),
        (b"\x80\x80", 2, b"\x80\x80"),
    ],
)
def test_a_prompt_is_cut_between_characters(text: bytes, room: int, expected: bytes) -> None:
    assert bytes_model.last_characters(text, room) == expected


def test_a_character_cut_at_the_end_is_held_back(toy: Toy, proceed: bytes_model.Continue) -> None:
    """At a high temperature the toy often generates invalid UTF-8: only whole characters are returned."""
    texts = [proceed(b"a", SEQUENCE, tokens_model.Sampling(50.0, 0, 1.0, seed), False) for seed in range(60)]
    assert all(map(contracts.is_utf8, texts))
    assert sum(not text.isascii() for text in texts) > 3


def test_a_prompt_that_ends_in_half_a_character_is_answered(proceed: bytes_model.Continue) -> None:
    for prompt in ("日本".encode()[:-1], b"\xff", b"\x80" * 30, b"caf\xc3", "👍".encode()[:2]):
        for word in (False, True):
            assert contracts.is_utf8(proceed(prompt, 12, GREEDY, word))


def test_suppressed_tokens_are_not_generated(toy: Toy, core_path: Path, tmp_path: Path) -> None:
    letters = set(b"eEtT")
    suppressed = [i for i, piece in enumerate(toy.vocabulary.token_bytes) if set(piece) & letters]
    suppressing = bytes_driver_of(toy, suppressed=suppressed)
    flatbuffer.write(linker.link(suppressing, flatbuffer.read(core_path)), tmp_path / "portable.tflite")
    call = bytes_model.interpreted(interpreters.litert(tmp_path / "portable.tflite", 1))
    for rule in (GREEDY, tokens_model.Sampling(1.0, 0, 1.0, 3), tokens_model.Sampling(1e9, 0, 1.0, 3)):
        for word in (False, True):  # "the" cannot be taken back: no allowed token begins so
            texts = [call(p.encode(), SEQUENCE, rule, word) for p in (*PROMPTS, "Returns the", "x te")]
            assert not set(b"".join(texts)) & letters
            assert any(texts)
