"""UTF-8 bytes in, UTF-8 bytes out, in operators that every TensorFlow Lite runtime has built in: portable.tflite."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from stages.lm import bpe_graph, bpe_tables, bpe_words, core, drivers, families, loop, sampler, token_bytes, tokenizer
from stages.lm.decoder import Shape
from stages.lm.tokenizer import Vocabulary
from stages.tflite import linker, skeleton

SIGNATURE = "generate"
_BYTES_PER_TOKEN = 16  # room for the answer's text
_INTEGERS = ("prompt_length", "max_tokens", "top_k", "seed", "complete_word")
_FLOATS = ("temperature", "top_p")


@dataclass(frozen=True)
class Limits:
    """How much the driver reads and writes: the loop's lengths, tokens of the prompt that it keeps, its bytes."""

    loop: loop.Lengths
    context_window: int
    prompt_bytes: int

    @property
    def text_bytes(self) -> int:
        """Room for the new text."""
        return _BYTES_PER_TOKEN * self.loop.sequence


def convert_for(preset: Path, model: Mapping[str, Any], settings: Mapping[str, Any], lengths: loop.Lengths) -> schema.ModelT:
    """The bytes driver of a preset, by its description (model.json) and convert's settings (convert.json)."""
    vocabulary = drivers.vocabulary_for(preset, model)
    limits = Limits(lengths, settings["context_window"], settings["portable_prompt_bytes"])
    return convert(vocabulary, families.read_shape(preset), limits, settings["suppress_tokens"])


def convert(vocabulary: Vocabulary, shape: Shape, limits: Limits, suppressed: Any = ()) -> schema.ModelT:
    """The bytes driver as a model whose placeholders the linker replaces."""
    model = skeleton.convert({SIGNATURE: trace(vocabulary, shape, limits, suppressed)}, custom_ops=True)
    return linker.with_calls(model, core.calls(shape, loop.rooms(limits.loop)))


def trace(vocabulary: Vocabulary, shape: Shape, limits: Limits, suppressed: Any = ()) -> Any:
    """Bytes to bytes: signature `generate`, which never says the ids that are `suppressed`.

    Inputs: `prompt` uint8 `[1, prompt_bytes]`, UTF-8, then anything; `prompt_length` int32 `[]`, how many bytes of it
    count; `max_tokens` int32 `[]`, how many new tokens there are at most; `temperature` float32 `[]` (0: the likeliest
    token), `top_k` int32 `[]` (0: all), `top_p` float32 `[]` (1: all), `seed` int32 `[]`: the same seed draws the same
    numbers; `complete_word` int32 `[]`, 1 or 0.
    Outputs: `text` uint8 `[1, text_bytes]`, the new text alone, whole characters of UTF-8, then zeros; `text_length`
    int32 `[]`, its bytes.
    """
    tokens = token_bytes.table(tokenizer.token_bytes(vocabulary.ids, vocabulary.words), shape.vocabulary, suppressed)
    sequence = limits.loop.sequence
    read = reader(vocabulary, limits.prompt_bytes)

    @tf.function(autograph=False)
    def generate(prompt: tf.Tensor, **given: tf.Tensor) -> dict[str, tf.Tensor]:
        ids, count = read(prompt[0], given["prompt_length"])
        window, known = drivers.window(ids, count, vocabulary, limits.context_window)
        uniform = sampler.hashed_draws(given["seed"], sequence)
        rule = sampler.Inputs(given["temperature"], given["top_k"], given["top_p"], suppressed)

        def choose(logits: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
            return sampler.choose_by_inputs(logits, rule, sampler.of_rows(uniform, logits, known))

        maximum = tf.minimum(known + given["max_tokens"], sequence)
        greedy = given["temperature"] <= 0.0
        said, length = loop.generate(window, known, loop.Plan(shape, vocabulary.end, limits.loop, choose, maximum, greedy))
        raw, size = token_bytes.text_of(said, known, length, tokens, limits.text_bytes)
        text, size = token_bytes.without_invalid(raw, tf.constant(0), size)
        return {"text": tf.cast(text, tf.uint8)[tf.newaxis], "text_length": size}

    specs = {"prompt": tf.TensorSpec([1, limits.prompt_bytes], tf.uint8, name="prompt")}
    specs |= {n: tf.TensorSpec([], tf.int32, name=n) for n in _INTEGERS}
    specs |= {n: tf.TensorSpec([], tf.float32, name=n) for n in _FLOATS}
    return generate.get_concrete_function(**specs)


def reader(vocabulary: Vocabulary, size: int) -> Any:
    """(prompt uint8 `[size]`, its length int32 `[]`) → int32 `[size]` ids and int32 `[]`, how many of them count."""
    split = bpe_words.starts(vocabulary.words, bpe_tables.character_classes())
    byte_ids, merges = bpe_tables.byte_ids(vocabulary.ids), bpe_tables.merge_table(vocabulary.ids, vocabulary.merges)

    def read(prompt: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        length = tf.clip_by_value(length, 0, size)
        return bpe_graph.encode(tf.cast(prompt, tf.int32), length, byte_ids, split, merges)

    return read
