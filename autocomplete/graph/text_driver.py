"""The driver of autocomplete.tflite: a string in, a string out, with Select TF operators."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.artifacts import Conversion, ModelDescription
from autocomplete.graph import core_calls, encoder, fixed_loop, prompt_tokens, sampler, token_bytes, token_healing
from autocomplete.graph.loop_plan import LoopLengths, LoopPlan
from autocomplete.graph.sampler import Sampler
from autocomplete.model import families
from autocomplete.model.config import DecoderConfig
from autocomplete.tflite import edit, linker, skeleton
from autocomplete.tokenizer.tokenizer import Vocabulary


@dataclass(frozen=True)
class TextLimits:
    """How much the driver reads and writes.

    Attributes:
      loop: lengths of the loop; the longest answer counts the start token, the tokens read and the new ones, as
        KerasHub's `generate` does.
      context_window: tokens of the prompt that the model reads.
      max_output_bytes: bytes of the answer, prompt included.
      complete_word: whether a word that the prompt ends in is completed (token_healing.py).
    """

    loop: LoopLengths
    context_window: int
    max_output_bytes: int
    complete_word: bool = False


def convert_for(preset: Path, model: ModelDescription, conversion: Conversion) -> schema.ModelT:
    """The driver of a preset, by its description (model.json) and its conversion (convert.json)."""
    vocabulary = prompt_tokens.vocabulary_for(preset, model)
    limits = TextLimits(
        fixed_loop.lengths_for(conversion),
        conversion.context_window,
        conversion.max_output_bytes,
        conversion.complete_word,
    )
    return convert(vocabulary, families.read_config(preset), limits, Sampler.of(conversion))


def convert(vocabulary: Vocabulary, config: DecoderConfig, limits: TextLimits, rule: Sampler) -> schema.ModelT:
    """The driver as a model whose placeholders the linker replaces."""
    traced = {"serving_default": trace(vocabulary, config, limits, rule)}
    model = skeleton.convert(traced, select_tf=True, custom_ops=True)
    # Behind an operator of dynamic shape it would be prepared anew, and so seeded anew, in each call.
    edit.move_to_front(model, "RANDOM_UNIFORM")
    return linker.with_calls(model, core_calls.signature_calls(config, fixed_loop.step_shapes(limits.loop)))


def trace(vocabulary: Vocabulary, config: DecoderConfig, limits: TextLimits, rule: Sampler) -> Any:
    """The signature `serving_default`: input `prompt`, output `text`, both string scalars.

    The answer is the prompt, byte for byte, then the new text, at most `max_output_bytes` in all and cut at a code
    point. A longer prompt is its own answer.
    """
    sequence_length, pieces = limits.loop.sequence_length, None
    strings = tf.constant(vocabulary.token_bytes, tf.string)
    if limits.complete_word:
        pieces = token_bytes.table(vocabulary.token_bytes, config.vocab_size, rule.suppressed)

    @tf.function(input_signature=[tf.TensorSpec(None, tf.string, name="prompt")], autograph=False)
    def serving_default(prompt: tf.Tensor) -> dict[str, tf.Tensor]:
        prompt = tf.reshape(prompt, [])  # the original recipe passes shape [1], the Android app a scalar
        ids, count, prompt_bytes = read_prompt(prompt, limits.max_output_bytes, vocabulary)
        uniform, healed, constrain = sampler.draws(sequence_length, rule.seed), None, None
        if pieces is None:
            tokens, count = prompt_tokens.context_window(ids, count, vocabulary, limits.context_window)
        else:
            healed = token_healing.take_back(ids, count, tf.constant(True), pieces)
            tokens, count = prompt_tokens.context_window(ids, healed.length, vocabulary, limits.context_window)
            constrain = token_healing.prefix_constraint(healed, count, pieces)
            uniform = tf.maximum(uniform, sampler.SMALLEST_DRAW)

        def choose(logits: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
            draws = sampler.draws_of_rows(uniform, logits, position)
            return sampler.choose(constrain(logits, position) if constrain else logits, rule, draws)

        plan = LoopPlan(config, vocabulary.end_token_ids, limits.loop, choose, tf.constant(sequence_length))
        ids, _ = fixed_loop.generate(tokens, count, plan)
        new_ids = tf.where(tf.range(sequence_length) < count, vocabulary.end_token_id, ids)  # the end token has no text
        new_text = tf.strings.reduce_join(tf.gather(strings, new_ids))
        if healed is not None:
            size = tf.strings.length(new_text)
            new_text = tf.strings.substr(new_text, tf.minimum(healed.removed_bytes, size), size)
        return {"text": _joined(prompt, new_text, tf.maximum(limits.max_output_bytes - prompt_bytes, 0))}

    return serving_default.get_concrete_function()


def _joined(prompt: tf.Tensor, new_text: tf.Tensor, max_new_bytes: tf.Tensor) -> tf.Tensor:
    """The prompt and the new text, cut, without bytes of it that are part of no character.

    Sampled tokens need not make whole characters, and a cut may split one.
    """
    valid = tf.strings.unicode_transcode(new_text, "UTF-8", "UTF-8", errors="ignore")
    cut = tf.strings.substr(valid, 0, max_new_bytes)
    return tf.strings.join([prompt, tf.strings.unicode_transcode(cut, "UTF-8", "UTF-8", errors="ignore")])


def read_prompt(prompt: tf.Tensor, max_bytes: int, vocabulary: Vocabulary) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The tokens of a string's first `max_bytes` bytes.

    Returns:
      Ids int32 `[max_bytes]`, or one more; their number int32 `[]`; the bytes of the whole string int32 `[]`.
    """
    encode = encoder.encoder(vocabulary)
    raw = tf.cast(tf.io.decode_raw(prompt, tf.uint8), tf.int32)
    length = tf.size(raw)
    text = tf.concat([raw[:max_bytes], tf.zeros([max_bytes], tf.int32)], 0)[:max_bytes]
    text = tf.reshape(text, [max_bytes])
    ids, count = encode(text, tf.minimum(length, max_bytes))
    return ids, count, length
