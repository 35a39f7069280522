"""UTF-8 bytes in, UTF-8 bytes out, in operators that every TensorFlow Lite runtime has built in: portable.tflite."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from autocomplete.graph import (
    core_calls,
    drivers,
    encoder,
    fixed_loop,
    growing_loop,
    sampler,
    token_bytes,
    token_healing,
)
from autocomplete.model import families
from autocomplete.model.decoder import Shape
from autocomplete.tflite import linker, skeleton
from autocomplete.tflite.signatures import GENERATE
from autocomplete.tokenizer.tokenizer import Vocabulary

_BLANK = 0x20
_BYTES_PER_TOKEN = 16  # room for the answer's text
_INTEGERS = ("prompt_length", "max_tokens", "top_k", "seed", "complete_word")
_FLOATS = ("temperature", "top_p")


@dataclass(frozen=True)
class Limits:
    """How much the driver reads and writes: the loop's lengths, tokens of the prompt that it keeps, its bytes."""

    loop: growing_loop.Lengths
    context_window: int
    prompt_bytes: int

    @property
    def text_bytes(self) -> int:
        """Room for the new text."""
        return _BYTES_PER_TOKEN * self.loop.sequence


def convert_for(preset: Path, model: Mapping[str, Any], settings: Mapping[str, Any]) -> schema.ModelT:
    """The bytes driver of a preset, by its description (model.json) and convert's settings (convert.json)."""
    vocabulary, limits = drivers.vocabulary_for(preset, model), limits_for(settings)
    return convert(vocabulary, families.read_shape(preset), limits, settings["suppress_tokens"])


def limits_for(settings: Mapping[str, Any]) -> Limits:
    """How much the bytes driver of convert's settings reads and writes."""
    return Limits(drivers.text_lengths(settings), settings["context_window"], settings["portable_prompt_bytes"])


def convert(vocabulary: Vocabulary, shape: Shape, limits: Limits, suppressed: Sequence[int] = ()) -> schema.ModelT:
    """The bytes driver as a model whose placeholders the linker replaces."""
    model = skeleton.convert({GENERATE: trace(vocabulary, shape, limits, suppressed)}, custom_ops=True)
    return linker.with_calls(model, core_calls.calls(shape, fixed_loop.rooms(limits.loop)))


def trace(vocabulary: Vocabulary, shape: Shape, limits: Limits, suppressed: Sequence[int] = ()) -> Any:
    """Bytes to bytes: signature `generate`, which never says the ids that are `suppressed`.

    Inputs: `prompt` uint8 `[1, prompt_bytes]`, UTF-8, then anything; `prompt_length` int32 `[]`, how many bytes of it
    count; `max_tokens` int32 `[]`, how many new tokens there are at most; `temperature` float32 `[]` (0: the likeliest
    token), `top_k` int32 `[]` (0: all), `top_p` float32 `[]` (1: all), `seed` int32 `[]`: the same seed draws the same
    numbers; `complete_word` int32 `[]`, 1 or 0.
    Outputs: `text` uint8 `[1, text_bytes]`, the new text alone, whole characters of UTF-8, then zeros; `text_length`
    int32 `[]`, its bytes.
    """
    tokens = token_bytes.table(vocabulary.token_bytes, shape.vocabulary, suppressed)
    sequence = limits.loop.sequence
    read = reader(vocabulary, limits.prompt_bytes)

    @tf.function(autograph=False)
    def generate(prompt: tf.Tensor, **given: tf.Tensor) -> dict[str, tf.Tensor]:
        wanted = given["complete_word"] > 0
        ids, count = read(prompt[0], given["prompt_length"], wanted)
        begun = token_healing.take_back(ids, count, wanted, tokens)
        window, first = drivers.window(ids, begun.count, vocabulary, limits.context_window)
        narrow = token_healing.narrowing(begun, first, tokens)
        uniform = sampler.hashed_draws(given["seed"], sequence)
        rule = sampler.Inputs(given["temperature"], given["top_k"], given["top_p"], suppressed)

        def choose(logits: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
            draws = sampler.of_rows(uniform, logits, known)
            return sampler.choose_by_inputs(narrow(logits, known), rule, draws)

        maximum = tf.minimum(first + tf.minimum(given["max_tokens"], sequence), sequence)
        plan = growing_loop.Plan(shape, vocabulary.end_token_ids, limits.loop, choose, maximum)
        said, length = fixed_loop.generate(window, first, plan)
        raw, size = token_bytes.text_of(said, first, length, tokens, limits.text_bytes)
        text, size = token_bytes.without_invalid(raw, begun.size, size)
        return {"text": tf.expand_dims(tf.cast(text, tf.uint8), 0), "text_length": size}

    specs = {"prompt": tf.TensorSpec([1, limits.prompt_bytes], tf.uint8, name="prompt")}
    specs |= {n: tf.TensorSpec([], tf.int32, name=n) for n in _INTEGERS}
    specs |= {n: tf.TensorSpec([], tf.float32, name=n) for n in _FLOATS}
    return generate.get_concrete_function(**specs)


def reader(vocabulary: Vocabulary, size: int) -> Any:
    """(prompt uint8 `[size]`, its length, whether its end is open) → int32 ids, and how many of them count.

    A blank at an open end is a token by itself, as it belongs to the word that follows: words are cut as they would be
    with that word behind it.
    """
    encode, blank_id = encoder.encoder(vocabulary), encoder.blank_id(vocabulary)

    def read(prompt: tf.Tensor, length: tf.Tensor, is_open: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        text, length = tf.cast(prompt, tf.int32), tf.clip_by_value(length, 0, size)
        if blank_id is None:
            return encode(text, length)
        last = tf.gather(text, tf.maximum(length - 1, 0))
        blank = tf.logical_and(is_open, tf.logical_and(length > 0, tf.equal(last, _BLANK)))
        apart = tf.cast(blank, tf.int32)
        ids, count = encode(text, length - apart)
        added = tf.logical_and(blank, tf.equal(tf.range(ids.shape[0]), count))
        return tf.where(added, blank_id, ids), count + apart

    return read
