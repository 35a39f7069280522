"""The driver of tokens.tflite: token ids in, token ids out, in built-in operators."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.artifacts import Conversion, ModelDescription
from autocomplete.graph import core_calls, growing_loop, sampler, token_bytes, token_healing
from autocomplete.graph.loop_plan import LoopLengths, LoopPlan
from autocomplete.graph.token_bytes import TokenBytes
from autocomplete.graph.token_healing import ConstrainLogits
from autocomplete.model import families
from autocomplete.model.config import DecoderConfig
from autocomplete.tflite import linker, signatures, skeleton
from autocomplete.tokenizer import tokenizer

_INTEGERS = ("length", "max_length", "top_k", "seed")
_FLOATS = ("temperature", "top_p")


def convert_for(preset: Path, model: ModelDescription, conversion: Conversion) -> schema.ModelT:
    """The driver of a preset, by its description (model.json) and its conversion (convert.json)."""
    config, suppressed, pieces = families.read_config(preset), conversion.suppress_tokens, None
    if conversion.complete_word:
        pieces = token_bytes.table(tokenizer.read_token_bytes(preset), config.vocab_size, suppressed)
    lengths = growing_loop.lengths_for(conversion)
    return convert(config, tuple(model.end_token_ids), lengths, suppressed, pieces)


def convert(
    config: DecoderConfig,
    end_token_ids: tuple[int, ...],
    lengths: LoopLengths,
    suppressed: Sequence[int] = (),
    pieces: TokenBytes | None = None,
) -> schema.ModelT:
    """The driver as a model whose placeholders the linker replaces."""
    traced = {signatures.GENERATE: trace(config, end_token_ids, lengths, suppressed, pieces)}
    model = skeleton.convert(traced, custom_ops=True)
    return linker.with_calls(model, core_calls.signature_calls(config, growing_loop.step_shapes(lengths)))


def trace(
    config: DecoderConfig,
    end_token_ids: tuple[int, ...],
    lengths: LoopLengths,
    suppressed: Sequence[int] = (),
    pieces: TokenBytes | None = None,
) -> Any:
    """The signature `generate`, which never chooses the `suppressed` ids.

    Inputs: `tokens` int32 `[1, N]`, the prompt, then anything, where N is the longest answer; `length` int32 `[]`, the
    prompt's; `max_length` int32 `[]`, the answer's, prompt included; `temperature` float32 `[]`, 0 for greedy; `top_k`
    int32 `[]`, 0 for all; `top_p` float32 `[]`, 1 for all; `seed` int32 `[]`, the same seed draws the same numbers.
    With `pieces`, the bytes of tokens, also `complete_word` int32 `[]`, 1 to complete a word that the prompt ends in.

    Outputs: `tokens` int32 `[1, N]`, prompt and new ids, then the end token's; `length` int32 `[]`, an end token
    included. If a word is completed, the prompt's last ids change, and their text still begins as the prompt does.
    """

    @tf.function(autograph=False)
    def generate(tokens: tf.Tensor, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        prompt, count, constrain = tokens[0], tf.clip_by_value(inputs["length"], 1, lengths.sequence_length), None
        if pieces is not None:
            prompt, count, constrain = _healed(prompt, count, inputs["complete_word"] > 0, end_token_ids[0], pieces)
        max_length = tf.minimum(inputs["max_length"], lengths.sequence_length)
        uniform = sampler.hashed_draws(inputs["seed"], lengths.sequence_length)
        rule = sampler.SamplerInputs(inputs["temperature"], inputs["top_k"], inputs["top_p"], suppressed)

        def choose(logits: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
            draws = sampler.draws_of_rows(uniform, logits, position)
            return sampler.choose_by_inputs(constrain(logits, position) if constrain else logits, rule, draws)

        plan = LoopPlan(config, end_token_ids, lengths, choose, max_length, may_draft=inputs["temperature"] <= 0.0)
        ids, length = growing_loop.generate(prompt, count, plan)
        return {"tokens": ids[tf.newaxis], "length": length}

    integers = _INTEGERS if pieces is None else (*_INTEGERS, signatures.COMPLETE_WORD)
    specs = {"tokens": tf.TensorSpec([1, lengths.sequence_length], tf.int32, name="tokens")}
    specs |= {n: tf.TensorSpec([], tf.int32, name=n) for n in integers}
    specs |= {n: tf.TensorSpec([], tf.float32, name=n) for n in _FLOATS}
    return generate.get_concrete_function(**specs)


def _healed(
    ids: tf.Tensor, count: tf.Tensor, enabled: tf.Tensor, end_token_id: int, pieces: TokenBytes
) -> tuple[tf.Tensor, tf.Tensor, ConstrainLogits]:
    """A prompt without the tokens taken back, its length, and the constraint on the first new token.

    If all tokens are taken back, the end token stands in their place, as the model must read one.
    """
    healed = token_healing.take_back(ids, count, enabled, pieces)
    is_replaced = tf.logical_and(tf.equal(healed.length, 0), tf.equal(tf.range(ids.shape[0]), 0))
    length = tf.maximum(healed.length, 1)
    return tf.where(is_replaced, end_token_id, ids), length, token_healing.prefix_constraint(healed, length, pieces)
