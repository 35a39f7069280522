"""The portable model encodes as `tokenizers` does, and generates the same text as the shipped preset's text model."""

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tokenizers

from autocomplete.common.native_log import quiet
from autocomplete.runtime import bytes_model, compiled, interpreters, text_model, tokens_model
from autocomplete.tflite import flatbuffer
from autocomplete.tokenizer import tokenizer
from helpers import records, texts
from helpers.toys import authored
from helpers.vocabularies import gpt2_vocabulary

pytestmark = pytest.mark.slow

PRESET = Path("artifacts/presets/pydoc_gpt2")
SIZE = 1024  # bytes: the strings are shorter
VOCABULARIES: dict[str, Callable[[], tokenizer.Vocabulary]] = {
    "shipped": lambda: tokenizer.read_vocabulary(PRESET / tokenizer.FOLDER, 1, 1),
    "GPT-2's": gpt2_vocabulary,
}


@pytest.fixture(scope="module", params=VOCABULARIES)
def vocabulary(request: pytest.FixtureRequest) -> tokenizer.Vocabulary:
    return VOCABULARIES[request.param]()


@pytest.fixture(scope="module")
def encode(vocabulary: tokenizer.Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Callable[[bytes], list[int]]:
    """The driver's encoder of prompts, converted without changes, in LiteRT."""
    with quiet():
        import tensorflow as tf

        from autocomplete.graph import bytes_driver
        from autocomplete.tflite import skeleton

    read = bytes_driver.reader(vocabulary, SIZE)

    @tf.function(autograph=False)
    def ids_of(prompt: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        ids, count = read(prompt, length, tf.constant(False))
        return {"count_and_ids": tf.concat([[count], ids], 0)}

    traced = ids_of.get_concrete_function(
        prompt=tf.TensorSpec([SIZE], tf.uint8, name="prompt"), length=tf.TensorSpec([], tf.int32, name="length")
    )
    path = tmp_path_factory.mktemp("reader") / "reader.tflite"
    with quiet():
        flatbuffer.write(skeleton.convert({"read": traced}), path)
    interpreter = interpreters.litert(path, 1)
    input_indices = {
        name: d["index"] for d in interpreter.get_input_details() for name in ("prompt", "length") if name in d["name"]
    }
    output_index = interpreter.get_output_details()[0]["index"]

    def call(data: bytes) -> list[int]:
        interpreter.set_tensor(input_indices["prompt"], np.frombuffer(data.ljust(SIZE, b"\xe9"), np.uint8))
        interpreter.set_tensor(input_indices["length"], np.array(len(data), np.int32))
        interpreter.invoke()
        count, *ids = interpreter.get_tensor(output_index).tolist()
        return list(ids[:count])

    return call


def documents() -> list[str]:
    return [json.loads(line)["text"] for line in (PRESET / "evaluation.jsonl").read_text().splitlines()]


def test_ten_thousand_strings(vocabulary: tokenizer.Vocabulary, encode: Callable[[bytes], list[int]]) -> None:
    expected = tokenizers.ByteLevelBPETokenizer(vocabulary.ids, list(vocabulary.merges))
    strings = texts.texts(documents(), [piece.decode(errors="ignore") for piece in vocabulary.token_bytes])
    assert len(strings) == texts.COUNT == 10_000
    fitting = [s for s in strings if len(s.encode()) <= SIZE]
    assert len(fitting) > 0.99 * len(strings)
    ids = [e.ids for e in expected.encode_batch(fitting)]
    assert [s for s, i in zip(fitting, ids, strict=True) if encode(s.encode()) != i] == []


def test_invalid_utf8_is_encoded_as_documented(
    vocabulary: tokenizer.Vocabulary, encode: Callable[[bytes], list[int]]
) -> None:
    """Each byte that is part of no character counts as a sign of its own, encoded as that byte."""
    bpe, rng = tokenizers.ByteLevelBPETokenizer(vocabulary.ids, list(vocabulary.merges))._tokenizer, random.Random(1)
    characters, invalid = tokenizer.bytes_to_unicode(), 0
    for _ in range(2000):
        parts = [rng.choice(["a", "Word", " ", "7", "é", "文", "👍", "!", "'s", "\n"]).encode() for _ in range(8)]
        parts[rng.randrange(8)] = bytes([rng.randrange(128, 256)])
        cut = rng.randrange(8)
        parts[cut] = parts[cut][:-1]
        data = b"".join(parts)
        # a private-use character, which counts as a sign, stands for each invalid byte
        shown = "".join(
            chr(0xE000 + ord(c) - 0xDC00) if "\udc80" <= c <= "\udcff" else c
            for c in data.decode("utf-8", "surrogateescape")
        )
        ids: list[int] = []
        for _, (first, end) in bpe.pre_tokenizer.pre_tokenize_str(shown):
            word = b"".join(
                bytes([ord(c) - 0xE000]) if "\ue080" <= c <= "\ue0ff" else c.encode() for c in shown[first:end]
            )
            ids += [token.id for token in bpe.model.tokenize("".join(characters[b] for b in word))]
        assert encode(data) == ids, data
        invalid += "\ufffd" in data.decode(errors="replace")
    assert invalid > 1500


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Text, greedy, and portable models of the shipped preset in float32, as convert and quantize make them."""
    with quiet():
        from autocomplete.graph import bytes_driver, core, fixed_loop, text_driver
        from autocomplete.model import families
        from autocomplete.tflite import linker

        model = records.model()
        conversion = records.conversion(
            sequence_length=64, context_window=32, prefill_lengths=[16], portable_prompt_bytes=512
        )
        folder = tmp_path_factory.mktemp("shipped")
        steps = fixed_loop.step_shapes(fixed_loop.lengths_for(conversion))
        flatbuffer.write(core.build(families.read_weights(PRESET, 256), 256, [16], steps), folder / "core.tflite")
        drivers = {
            "text": text_driver.convert_for(authored(PRESET), model, conversion),
            "portable": bytes_driver.convert_for(authored(PRESET), model, conversion),
        }
        for name, driver in drivers.items():
            linked = linker.link(driver, flatbuffer.read(folder / "core.tflite"))
            flatbuffer.write(linked, folder / f"{name}.tflite")
    return folder


def prompts(count: int, longest: int) -> Sequence[bytes]:
    rng, excerpts = random.Random(5), list[bytes]()
    while len(excerpts) < count:
        text = rng.choice(documents())
        first = rng.randrange(max(len(text) - longest, 1))
        excerpts.append(text[first : first + rng.randint(1, longest)].encode()[:512].decode(errors="ignore").encode())
    return excerpts


def test_greedy_text_of_200_prompts_equals_the_text_model_s(shipped: Path) -> None:
    """The answer of the text model has at most 788 bytes, the prompt's included."""
    complete = text_model.interpreted(interpreters.tensorflow(shipped / "text.tflite", 1))
    proceed = bytes_model.interpreted(interpreters.litert(shipped / "portable.tflite", 1))
    inputs = prompts(200, 300)
    continuations = [proceed(p, 100, tokens_model.Sampling(), False) for p in inputs]
    expected = [(p + s)[:788].decode(errors="ignore").encode() for p, s in zip(inputs, continuations, strict=True)]
    assert [complete(p) for p in inputs] == expected
    assert len(set(continuations)) > 150


@pytest.mark.parametrize("runtime", ["TF 2.18", "CompiledModel"])
def test_every_runtime_generates_the_same_text(shipped: Path, runtime: str) -> None:
    """Prompts of all lengths one after the other, drawn and greedy, words completed and not."""
    path = shipped / "portable.tflite"
    proceed = bytes_model.interpreted(interpreters.litert(path, 1))
    other = (
        bytes_model.compiled(compiled.load(path, 1))
        if runtime == "CompiledModel"
        else bytes_model.interpreted(interpreters.tensorflow(path, 1))
    )
    rng = random.Random(6)
    for prompt in prompts(60, 400):
        rule = rng.choice([tokens_model.Sampling(), tokens_model.Sampling(1.0, 5, 1.0, rng.randrange(99))])
        max_tokens, complete_word = rng.choice([1, 8, 99]), rng.random() < 0.5
        assert other(prompt, max_tokens, rule, complete_word) == proceed(prompt, max_tokens, rule, complete_word)


def test_a_word_is_completed(shipped: Path) -> None:
    proceed = bytes_model.interpreted(interpreters.litert(shipped / "portable.tflite", 1))
    continuation = proceed(b"The function retur", 1, tokens_model.Sampling(), True)
    assert b"retur" + continuation in (b"return", b"returns", b"returned", b"returning")
    assert b"retur" + proceed(b"The function retur", 1, tokens_model.Sampling(), False) not in (b"return", b"returns")
