"""Drivers: the loop around the core, traced once with the core's calls as placeholders."""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from stages.lm import bpe_graph, bpe_tables, core, sampler, tokenizer
from stages.lm.core import Call
from stages.lm.decoder import Cache, Shape
from stages.lm.sampler import Sampler
from stages.lm.tokenizer import Vocabulary
from stages.tflite import flatbuffer, linker, skeleton


@dataclass(frozen=True)
class Limits:
    """How much is read and written.

    All in tokens but `max_output_bytes`; `sequence_length` counts the start token, the prompt's tokens read and the
    new ones, as KerasHub's `generate` does.
    """

    sequence_length: int
    context_window: int
    slots: int
    chunk: int
    max_output_bytes: int


def generate(tokens: tf.Tensor, count: tf.Tensor, shape: Shape, limits: Limits, end: int, rule: Sampler) -> tf.Tensor:
    """Continues a prompt inside the graph.

    Args:
      tokens: int32 `[M]`, the prompt's ids, then anything; M is at least the prompt's chunks.
      count: int32 `[]`, the prompt's length, at least 1.
      shape: the decoder's dimensions.
      limits: lengths.
      end: the id that ends a text.
      rule: the sampler.

    Returns:
      int32 `[sequence_length]`, the new ids, the rest filled with `end`.
    """
    cache = _prefill(tokens, count, shape, limits)
    decode = core.placeholder(shape, core.DECODE)
    names = list(cache)
    last = tf.gather(tokens, count - 1)
    place = tf.range(limits.sequence_length)
    draws = sampler.draws(limits.sequence_length, rule.seed)

    def more(token: tf.Tensor, position: tf.Tensor, ended: tf.Tensor, *_: Any) -> tf.Tensor:
        return tf.logical_and(tf.logical_not(ended), position + 1 < limits.sequence_length)

    def step(token: tf.Tensor, position: tf.Tensor, ended: tf.Tensor, new: tf.Tensor, *values: tf.Tensor) -> list[Any]:
        mask = core.causal_mask(position, 1, limits.slots)
        logits, updated = decode(
            tf.reshape(token, [1, 1]), tf.reshape(position, [1]), mask, dict(zip(names, values, strict=True))
        )
        token = sampler.choose(tf.reshape(logits, [shape.vocabulary]), rule, tf.gather(draws, position))
        new = tf.where(tf.equal(place, position + 1 - count), token, new)
        return [token, position + 1, tf.equal(token, end), new, *updated.values()]

    new = tf.fill([limits.sequence_length], end)
    state = [last, count - 1, tf.constant(False), new, *cache.values()]
    _, _, _, new, *_ = tf.while_loop(more, step, state)
    return new


def _prefill(tokens: tf.Tensor, count: tf.Tensor, shape: Shape, limits: Limits) -> Cache:
    """Reads all but the last token in chunks; slots written past them are masked until they are written again."""
    call: Call = core.placeholder(shape, core.prefill_name(limits.chunk))
    cache = core.empty_cache(shape, limits.slots)
    names = list(cache)

    def step(first: tf.Tensor, *values: tf.Tensor) -> list[tf.Tensor]:
        chunk = tf.reshape(tf.slice(tokens, [first], [limits.chunk]), [1, limits.chunk])
        mask = core.causal_mask(first, limits.chunk, limits.slots)
        _, updated = call(chunk, first + tf.range(limits.chunk), mask, dict(zip(names, values, strict=True)))
        return [first + limits.chunk, *updated.values()]

    first = tf.constant(0)
    _, *values = tf.while_loop(lambda first, *_: first < count - 1, step, [first, *cache.values()])
    return dict(zip(names, values, strict=True))


def convert_text_driver(vocabulary: Vocabulary, shape: Shape, limits: Limits, rule: Sampler) -> schema.ModelT:
    """The text driver as a model whose placeholders the linker replaces."""
    traced = {"serving_default": text_driver(vocabulary, shape, limits, rule)}
    model = skeleton.convert(traced, select_tf=True, custom_ops=True)
    # Behind an operator of dynamic shape it would be prepared, and so seeded, anew in each call.
    flatbuffer.move_to_front(model, "RANDOM_UNIFORM")
    return linker.with_calls(model, core.calls(shape.layers, [core.prefill_name(limits.chunk), core.DECODE]))


def text_driver(vocabulary: Vocabulary, shape: Shape, limits: Limits, rule: Sampler) -> Any:
    """String to string: signature `serving_default`, input `prompt`, output `text`, scalars.

    The answer is the whole prompt, byte for byte, then the new text, at most `max_output_bytes` in all, cut at a
    code point; a longer prompt answers itself.
    """
    size = limits.max_output_bytes
    strings = tf.constant(tokenizer.token_bytes(vocabulary.ids), tf.string)
    byte_ids = bpe_tables.byte_ids(vocabulary.ids)
    classes = bpe_tables.character_classes()
    merges = bpe_tables.merge_table(vocabulary.ids, vocabulary.merges)

    @tf.function(input_signature=[tf.TensorSpec(None, tf.string, name="prompt")], autograph=False)
    def serving_default(prompt: tf.Tensor) -> dict[str, tf.Tensor]:
        prompt = tf.reshape(prompt, [])  # the original recipe passes shape [1], the Android app a scalar
        raw = tf.cast(tf.io.decode_raw(prompt, tf.uint8), tf.int32)
        length = tf.size(raw)
        text = tf.concat([raw[:size], tf.zeros([size], tf.int32)], 0)[:size]
        text = tf.reshape(text, [size])
        ids, count = bpe_graph.encode(text, tf.minimum(length, size), byte_ids, classes, merges)
        tokens, count = _window(ids, count, vocabulary, limits)
        new = generate(tokens, count, shape, limits, vocabulary.end, rule)
        written = tf.strings.reduce_join(tf.gather(strings, new))
        room = tf.maximum(size - length, 0)
        # Sampled bytes may be no text, and a cut may split a character: either is dropped.
        whole = tf.strings.unicode_transcode(written, "UTF-8", "UTF-8", errors="ignore")
        cut = tf.strings.unicode_transcode(tf.strings.substr(whole, 0, room), "UTF-8", "UTF-8", errors="ignore")
        return {"text": tf.strings.join([prompt, cut])}

    return serving_default.get_concrete_function()


def _window(ids: tf.Tensor, count: tf.Tensor, vocabulary: Vocabulary, limits: Limits) -> tuple[tf.Tensor, tf.Tensor]:
    """The start token and the last `context_window` ids, int32 `[chunks · chunk]`, and how many they are.

    A text without tokens begins with the start token, or the end token of a model that has no start token.
    """
    chunks = -(-(limits.context_window + 1) // limits.chunk)
    kept = tf.minimum(count, limits.context_window)
    padded = tf.concat([ids, tf.zeros([chunks * limits.chunk + 1], tf.int32)], 0)
    window = tf.slice(padded, [count - kept], [chunks * limits.chunk])
    if vocabulary.start is None:
        first = tf.equal(tf.range(chunks * limits.chunk), 0)
        window = tf.where(tf.logical_and(first, tf.equal(kept, 0)), vocabulary.end, window)
        return window, tf.maximum(kept, 1)
    return tf.concat([[vocabulary.start], window[:-1]], 0), kept + 1
