"""A word at the end of the prompt is completed: the generated text begins with the bytes that were taken back."""

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from autocomplete.common.native_log import quiet
from autocomplete.graph import loop_plan, text_driver, token_bytes, token_healing, tokens_driver
from autocomplete.runtime import bytes_model, interpreters, text_model, tokens_model
from autocomplete.tflite import flatbuffer, linker
from helpers.toy_models import bytes_driver_of, driver
from helpers.toys import CHUNK, PROMPTS, SEQUENCE, TEXT, Toy
from helpers.vocabularies import gpt2_vocabulary

pytestmark = pytest.mark.slow

Begun = tuple[int, int, set[int]]
ROOM = 50


def healer(pieces: list[bytes], size: int, suppressed: Any = ()) -> Callable[..., Begun]:
    """token_healing.take_back as a call: the number of ids that remain, of bytes taken back, and the allowed ids."""
    table = token_bytes.table(pieces, size, suppressed)
    places = np.array([int(p) + table.places.offset for p in table.places.values])

    number = tf.TensorSpec([], tf.int32)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([ROOM], tf.int32), number, tf.TensorSpec([], tf.bool)])
    def take_back(ids: tf.Tensor, count: tf.Tensor, enabled: tf.Tensor) -> list[tf.Tensor]:
        healed = token_healing.take_back(ids, count, enabled, table)
        return [healed.length, healed.removed_bytes, healed.first_place, healed.end_place]

    def call(ids: list[int], enabled: bool = True) -> Begun:
        padded = tf.constant([*ids, *[7] * (ROOM - len(ids))], tf.int32)
        count, removed, first, last = (int(t) for t in take_back(padded, len(ids), tf.constant(enabled)))
        return count, removed, set(np.flatnonzero((places >= first) & (places < last)).tolist())

    return call


def expected(ids: list[int], pieces: list[bytes], suppressed: Any = ()) -> Begun:
    """The rule in plain Python."""
    best = len(ids), 0, set(range(len(pieces)))
    for count in range(1, min(8, len(ids)) + 1):
        last = [pieces[i] for i in ids[len(ids) - count :]]
        word = b"".join(last)
        if not all(last) or any(p.startswith(b" ") for p in last[1:]) or len(word) > 30:
            break
        if allowed := {i for i, p in enumerate(pieces) if p.startswith(word) and i not in suppressed}:
            best = len(ids) - count, len(word), allowed
    return best


def test_the_rule_on_random_ids(toy: Toy) -> None:
    pieces, rng = toy.vocabulary.token_bytes, random.Random(1)
    suppressed = rng.sample(range(len(pieces)), 60)
    short = [i for i, p in enumerate(pieces) if len(p) <= 2]
    for hidden in ((), suppressed):
        call = healer(pieces, len(pieces), hidden)
        for _ in range(200):
            candidates = rng.choice([range(len(pieces)), short])
            ids = [rng.choice(candidates) for _ in range(rng.randint(0, 10))]
            assert call(ids) == expected(ids, pieces, hidden), [pieces[i] for i in ids]
            assert call(ids, False) == (len(ids), 0, set(range(len(pieces))))


def test_the_rule_on_words_cut_anywhere(toy: Toy) -> None:
    pieces, call = toy.vocabulary.token_bytes, healer(toy.vocabulary.token_bytes, len(toy.vocabulary.token_bytes))
    rng, multiple = random.Random(2), 0
    for _ in range(150):
        text = rng.choice(TEXT)
        first = rng.randrange(max(len(text) - 40, 1))
        ids = toy.bpe.encode(text[first : first + rng.randint(1, 40)]).ids
        assert call(ids) == expected(ids, pieces)
        multiple += len(ids) - call(ids)[0] > 1
    assert multiple > 8  # several tokens are the beginning of one


def test_tokens_with_the_same_bytes_and_a_token_without_text(toy: Toy) -> None:
    pieces = [*toy.vocabulary.token_bytes, b" the", b" the", b""]
    call = healer(pieces, len(pieces) + 5)
    the = [i for i, p in enumerate(pieces) if p.startswith(b" the")]
    assert call([the[-1]])[2] >= set(the)
    assert call([len(pieces) + 2]) == (1, 0, set(range(len(pieces) + 5)))  # a token without a text


def test_gpt2s_vocabulary() -> None:
    vocabulary = gpt2_vocabulary()
    pieces = vocabulary.token_bytes
    call, rng = healer(pieces, len(pieces)), random.Random(3)
    for _ in range(60):
        ids = [rng.randrange(50256) for _ in range(3)]
        assert call(ids) == expected(ids, pieces)
    id_of = {p: i for i, p in enumerate(pieces)}
    count, size, allowed = call([id_of[b"The"], id_of[b" function"], id_of[b" ret"], id_of[b"ur"]])
    assert (count, size) == (2, 6)
    assert {pieces[i] for i in allowed} == {b" return", b" returning", b" returns", b" returned"}


@pytest.fixture(scope="module", params=["all tokens", "suppressed"])
def proceed(request: pytest.FixtureRequest, toy: Toy, core_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The toy's portable model in LiteRT, and the ids that it never generates."""
    suppressed = [*range(260, 400)] if request.param == "suppressed" else []
    bytes_driver = bytes_driver_of(toy, suppressed)
    path = tmp_path_factory.mktemp("healing") / "portable.tflite"
    flatbuffer.write(linker.link(bytes_driver, flatbuffer.read(core_path)), path)
    return bytes_model.interpreted(interpreters.litert(path, 1)), suppressed


RULES = [tokens_model.Sampling(), tokens_model.Sampling(1.0, 0, 1.0, 1), tokens_model.Sampling(1e9, 0, 1.0, 5)]


def test_generated_text_continues_the_users_own_bytes(toy: Toy, proceed: Any) -> None:
    """One token is generated: the bytes taken back and the new text are an allowed token, or its beginning."""
    call, suppressed = proceed
    pieces = toy.vocabulary.token_bytes
    allowed_tokens = {p: i for i, p in enumerate(pieces) if i not in suppressed}
    plain, odd = "Returns the parsed arguments  of ValueErr", "as naïve café – 日本"
    completed = 0
    for whole, end in ((w, end) for w in (plain, odd) for end in range(1, len(w) + 1)):
        prompt = whole[:end]
        is_blank = prompt.endswith(" ")
        ids = toy.bpe.encode(prompt[: len(prompt) - is_blank]).ids
        ids += toy.bpe.encode(" ").ids if is_blank else []
        _, removed, allowed = expected(ids, pieces, suppressed)
        word = prompt.encode()[len(prompt.encode()) - removed :]
        for rule in RULES:
            text = call(prompt.encode(), 1, rule, True)
            if removed:
                # a character that the token cuts is held back
                matching = {i for p, i in allowed_tokens.items() if p.startswith(word + text)}
                assert matching & allowed
                assert word + text in allowed_tokens or not whole.isascii()
                completed += bool(text)
    assert completed > 20


def test_off_is_the_plain_answer(toy: Toy, proceed: Any) -> None:
    call, _ = proceed
    differs = 0
    for prompt in PROMPTS:
        plain, word = (call(prompt.encode(), 20, tokens_model.Sampling(), w) for w in (False, True))
        differs += plain != word
    assert differs > 1


@pytest.mark.parametrize("name", ["greedy", "top_k", "temperature"])
def test_text_completes_words_where_convert_says_so(toy: Toy, core_path: Path, tmp_path: Path, name: str) -> None:
    """The text model's answer still begins with the prompt; greedily it is the portable model's."""
    from autocomplete.graph.sampler import Sampler

    limits = text_driver.TextLimits(loop_plan.LoopLengths(SEQUENCE, CHUNK, 4), 24, 788, complete_word=True)
    core = flatbuffer.read(core_path)
    with quiet():
        completing = text_driver.convert(toy.vocabulary, toy.weights.config, limits, Sampler(name, 5, 0.9, 1.0, 3))
    flatbuffer.write(linker.link(completing, core), tmp_path / "text.tflite")
    flatbuffer.write(linker.link(bytes_driver_of(toy), core), tmp_path / "portable.tflite")
    flatbuffer.write(linker.link(driver(toy, name, seed=3), core), tmp_path / "plain.tflite")
    complete, plain = (
        text_model.interpreted(interpreters.tensorflow(tmp_path / f"{n}.tflite", 1)) for n in ("text", "plain")
    )
    proceed = bytes_model.interpreted(interpreters.litert(tmp_path / "portable.tflite", 1))
    differs = 0
    for prompt in (b"", b"a", b"Returns th", b"Raises ValueErr", b"naive caf", "日本".encode(), b"x" * 788, b"x" * 800):
        answer = complete(prompt)
        assert answer.startswith(prompt) and len(answer) <= max(788, len(prompt))
        differs += answer != plain(prompt)
        if name == "greedy" and len(prompt) < 200:
            assert answer == prompt + proceed(prompt, SEQUENCE, tokens_model.Sampling(), True)
    assert differs


@pytest.mark.parametrize("draft_tokens", [1, 8])
def test_tokens_complete_words_where_an_input_says_so(
    toy: Toy, core_path: Path, tmp_path: Path, draft_tokens: int
) -> None:
    pieces, lengths = toy.vocabulary.token_bytes, loop_plan.LoopLengths(SEQUENCE, CHUNK, 4, draft_tokens)
    table = token_bytes.table(pieces, toy.weights.config.vocab_size)
    with quiet():
        completing = tokens_driver.convert(toy.weights.config, toy.vocabulary.end_token_ids, lengths, (), table)
        plain = tokens_driver.convert(toy.weights.config, toy.vocabulary.end_token_ids, lengths)
    for name, loop_around in {"plain": plain, "word": completing}.items():
        flatbuffer.write(linker.link(loop_around, flatbuffer.read(core_path)), tmp_path / name)
    generate = tokens_model.interpreted(interpreters.litert(tmp_path / "plain", 1))
    switched_off = tokens_model.interpreted(interpreters.litert(tmp_path / "word", 1))
    call = interpreters.litert(tmp_path / "word", 1).get_signature_runner("generate")
    zero, completed = np.int32(0), 0
    for prompt in ("Returns th", "a", "argum", "Raises ValueErr", "x par", "日本"):
        for start in ([toy.vocabulary.start_token_id], []):
            ids = [*start, *toy.bpe.encode(prompt).ids]
            assert switched_off(ids, SEQUENCE, tokens_model.Sampling()) == generate(
                ids, SEQUENCE, tokens_model.Sampling()
            )
            tokens = np.zeros((1, SEQUENCE), np.int32)
            tokens[0, : len(ids)] = ids
            answer = call(
                tokens=tokens,
                length=np.int32(len(ids)),
                max_length=np.int32(SEQUENCE),
                temperature=np.float32(0),
                top_k=zero,
                top_p=np.float32(1),
                seed=zero,
                complete_word=np.int32(1),
            )
            generated = answer["tokens"][0, : int(answer["length"])].tolist()
            assert b"".join(pieces[i] for i in generated).startswith(prompt.encode())
            completed += generated[: len(ids)] != ids
    assert completed > 2


def test_a_prompt_of_one_token_leaves_the_start_token_or_the_end_token(
    toy: Toy, core_path: Path, tmp_path: Path
) -> None:
    for start in (toy.vocabulary.start_token_id, None):
        other = dataclasses.replace(toy, vocabulary=dataclasses.replace(toy.vocabulary, start_token_id=start))
        flatbuffer.write(linker.link(bytes_driver_of(other), flatbuffer.read(core_path)), tmp_path / "one.tflite")
        call = bytes_model.interpreted(interpreters.litert(tmp_path / "one.tflite", 1))
        empty, one = call(b"", 1, tokens_model.Sampling(), True), call(b"a", 1, tokens_model.Sampling(), True)
        assert (b"a" + one) in toy.vocabulary.token_bytes
        assert empty == call(b"", 1, tokens_model.Sampling(), False)
