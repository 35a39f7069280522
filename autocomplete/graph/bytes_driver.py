"""The driver of portable.tflite: UTF-8 bytes in, UTF-8 bytes out, in operators that every runtime has built in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.artifacts import Conversion, ModelDescription
from autocomplete.graph import core_calls, encoder, fixed_loop, prompt_tokens, sampler, token_bytes, token_healing
from autocomplete.graph.loop_plan import LoopLengths, LoopPlan
from autocomplete.model import families
from autocomplete.model.config import DecoderConfig
from autocomplete.tflite import linker, skeleton
from autocomplete.tflite.signatures import GENERATE
from autocomplete.tokenizer.tokenizer import Vocabulary

_BLANK = 0x20
_BYTES_PER_TOKEN = 16  # room for the new text
_INTEGERS = ("prompt_length", "max_tokens", "top_k", "seed", "complete_word")
_FLOATS = ("temperature", "top_p")

# (prompt uint8 [N], its length int32 [], whether its end is open bool []) → (ids int32 [M], their number int32 [])
ReadPrompt = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@dataclass(frozen=True)
class BytesLimits:
    """How much the driver reads and writes.

    Attributes:
      loop: lengths of the loop.
      context_window: tokens of the prompt that the model reads.
      prompt_bytes: bytes of the prompt that it takes.
    """

    loop: LoopLengths
    context_window: int
    prompt_bytes: int

    @property
    def text_bytes(self) -> int:
        """Bytes of the output for the new text."""
        return _BYTES_PER_TOKEN * self.loop.sequence_length


def convert_for(preset: Path, model: ModelDescription, conversion: Conversion) -> schema.ModelT:
    """The driver of a preset, by its description (model.json) and its conversion (convert.json)."""
    vocabulary, limits = prompt_tokens.vocabulary_for(preset, model), limits_for(conversion)
    return convert(vocabulary, families.read_config(preset), limits, conversion.suppress_tokens)


def limits_for(conversion: Conversion) -> BytesLimits:
    """The limits of a conversion."""
    lengths = fixed_loop.lengths_for(conversion)
    return BytesLimits(lengths, conversion.context_window, conversion.portable_prompt_bytes)


def convert(
    vocabulary: Vocabulary, config: DecoderConfig, limits: BytesLimits, suppressed: Sequence[int] = ()
) -> schema.ModelT:
    """The driver as a model whose placeholders the linker replaces."""
    model = skeleton.convert({GENERATE: trace(vocabulary, config, limits, suppressed)}, custom_ops=True)
    return linker.with_calls(model, core_calls.signature_calls(config, fixed_loop.step_shapes(limits.loop)))


def trace(vocabulary: Vocabulary, config: DecoderConfig, limits: BytesLimits, suppressed: Sequence[int] = ()) -> Any:
    """The signature `generate`, which never chooses the `suppressed` ids.

    Inputs: `prompt` uint8 `[1, prompt_bytes]`, UTF-8, then anything; `prompt_length` int32 `[]`, in bytes; `max_tokens`
    int32 `[]`, new tokens at most; `temperature` float32 `[]`, 0 for greedy; `top_k` int32 `[]`, 0 for all; `top_p`
    float32 `[]`, 1 for all; `seed` int32 `[]`, the same seed draws the same numbers; `complete_word` int32 `[]`, 1 to
    complete a word that the prompt ends in.

    Outputs: `text` uint8 `[1, text_bytes]`, the new text without the prompt, whole characters of UTF-8, then zeros;
    `text_length` int32 `[]`, in bytes.
    """
    tokens = token_bytes.table(vocabulary.token_bytes, config.vocab_size, suppressed)
    sequence_length = limits.loop.sequence_length
    read = reader(vocabulary, limits.prompt_bytes)

    @tf.function(autograph=False)
    def generate(prompt: tf.Tensor, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        completes_word = inputs["complete_word"] > 0
        ids, count = read(prompt[0], inputs["prompt_length"], completes_word)
        healed = token_healing.take_back(ids, count, completes_word, tokens)
        window, first = prompt_tokens.context_window(ids, healed.length, vocabulary, limits.context_window)
        constrain = token_healing.prefix_constraint(healed, first, tokens)
        uniform = sampler.hashed_draws(inputs["seed"], sequence_length)
        rule = sampler.SamplerInputs(inputs["temperature"], inputs["top_k"], inputs["top_p"], suppressed)

        def choose(logits: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
            draws = sampler.draws_of_rows(uniform, logits, position)
            return sampler.choose_by_inputs(constrain(logits, position), rule, draws)

        max_length = tf.minimum(first + tf.minimum(inputs["max_tokens"], sequence_length), sequence_length)
        plan = LoopPlan(config, vocabulary.end_token_ids, limits.loop, choose, max_length)
        answer_ids, length = fixed_loop.generate(window, first, plan)
        raw, size = token_bytes.text_of(answer_ids, first, length, tokens, limits.text_bytes)
        text, size = token_bytes.without_invalid(raw, healed.removed_bytes, size)
        return {"text": tf.expand_dims(tf.cast(text, tf.uint8), 0), "text_length": size}

    specs = {"prompt": tf.TensorSpec([1, limits.prompt_bytes], tf.uint8, name="prompt")}
    specs |= {n: tf.TensorSpec([], tf.int32, name=n) for n in _INTEGERS}
    specs |= {n: tf.TensorSpec([], tf.float32, name=n) for n in _FLOATS}
    return generate.get_concrete_function(**specs)


def reader(vocabulary: Vocabulary, size: int) -> ReadPrompt:
    """A function that encodes prompts of at most `size` bytes.

    A blank at an open end becomes a token by itself, as it belongs to the word that follows: the text before it is
    tokenized as it would be with that word behind it.
    """
    encode, blank_id = encoder.encoder(vocabulary), encoder.blank_id(vocabulary)

    def read(prompt: tf.Tensor, length: tf.Tensor, is_open: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        text, length = tf.cast(prompt, tf.int32), tf.clip_by_value(length, 0, size)
        if blank_id is None:
            return encode(text, length)
        last_byte = tf.gather(text, tf.maximum(length - 1, 0))
        has_blank = tf.logical_and(is_open, tf.logical_and(length > 0, tf.equal(last_byte, _BLANK)))
        num_blanks = tf.cast(has_blank, tf.int32)
        ids, count = encode(text, length - num_blanks)
        is_blank_place = tf.logical_and(has_blank, tf.equal(tf.range(ids.shape[0]), count))
        return tf.where(is_blank_place, blank_id, ids), count + num_blanks

    return read
