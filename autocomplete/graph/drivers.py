"""Drivers: what an app calls around the loop, traced once with the core's calls as placeholders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from autocomplete.graph import (
    core_calls,
    encoder,
    fixed_loop,
    growing_loop,
    sampler,
    token_bytes,
    token_healing,
)
from autocomplete.graph.sampler import Sampler
from autocomplete.graph.token_bytes import TokenBytes
from autocomplete.model import families
from autocomplete.model.decoder import Shape
from autocomplete.tflite import edit, linker, signatures, skeleton
from autocomplete.tokenizer import tokenizer
from autocomplete.tokenizer.tokenizer import Vocabulary


@dataclass(frozen=True)
class Limits:
    """How much the text driver reads and writes: the loop's lengths, tokens of the prompt, bytes of the answer.

    The longest answer, in tokens, counts the start token, the prompt's tokens read and the new ones, as KerasHub's
    `generate` does. With `complete_word` a word that the prompt ends in is completed (healing.py).
    """

    loop: growing_loop.Lengths
    context_window: int
    max_output_bytes: int
    complete_word: bool = False


def text_driver_for(
    preset: Path, model: Mapping[str, Any], settings: Mapping[str, Any], rule: Sampler
) -> schema.ModelT:
    """The text driver of a preset, by its description (model.json) and convert's settings (convert.json)."""
    vocabulary = vocabulary_for(preset, model)
    limits = Limits(
        text_lengths(settings), settings["context_window"], settings["max_output_bytes"], settings["complete_word"]
    )
    return convert_text_driver(vocabulary, families.read_shape(preset), limits, rule)


def vocabulary_for(preset: Path, model: Mapping[str, Any]) -> Vocabulary:
    """The vocabulary of a preset by its model.json; raises UnsupportedTokenizerError where a graph cannot do it."""
    start = model["start_token_id"] if model["add_start_token"] else None
    return tokenizer.parse_vocabulary(tokenizer.read_tokenizer_json(preset), start, model["end_token_ids"])


def text_lengths(settings: Mapping[str, Any]) -> growing_loop.Lengths:
    """The lengths of the text driver's loop: a chunk is short, as every chunk is read whole."""
    return growing_loop.Lengths(settings["sequence_length"], settings["prefill_lengths"][0])


def tokens_lengths(settings: Mapping[str, Any]) -> growing_loop.Lengths:
    """The lengths of the tokens driver's loop."""
    return growing_loop.Lengths(
        settings["sequence_length"], settings["prefill_lengths"][-1], guessed=settings["guessed_tokens"]
    )


def convert_text_driver(vocabulary: Vocabulary, shape: Shape, limits: Limits, rule: Sampler) -> schema.ModelT:
    """The text driver as a model whose placeholders the linker replaces."""
    traced = {"serving_default": text_driver(vocabulary, shape, limits, rule)}
    model = skeleton.convert(traced, select_tf=True, custom_ops=True)
    # Behind an operator of dynamic shape it would be prepared, and so seeded, anew in each call.
    edit.move_to_front(model, "RANDOM_UNIFORM")
    return linker.with_calls(model, core_calls.calls(shape, fixed_loop.rooms(limits.loop)))


def tokens_driver_for(preset: Path, model: Mapping[str, Any], settings: Mapping[str, Any]) -> schema.ModelT:
    """The tokens driver of a preset, by its description (model.json) and convert's settings (convert.json)."""
    shape, suppressed, pieces = families.read_shape(preset), settings["suppress_tokens"], None
    if settings["complete_word"]:
        pieces = token_bytes.table(tokenizer.read_token_bytes(preset), shape.vocabulary, suppressed)
    ends = tuple(model["end_token_ids"])
    return convert_tokens_driver(shape, ends, tokens_lengths(settings), suppressed, pieces)


def convert_tokens_driver(
    shape: Shape,
    ends: tuple[int, ...],
    lengths: growing_loop.Lengths,
    suppressed: Sequence[int] = (),
    pieces: TokenBytes | None = None,
) -> schema.ModelT:
    """The tokens driver, in built-in operators, as a model whose placeholders the linker replaces."""
    traced = {signatures.GENERATE: tokens_driver(shape, ends, lengths, suppressed, pieces)}
    model = skeleton.convert(traced, custom_ops=True)
    return linker.with_calls(model, core_calls.calls(shape, [core_calls.STEP]))


def tokens_driver(
    shape: Shape,
    ends: tuple[int, ...],
    lengths: growing_loop.Lengths,
    suppressed: Sequence[int] = (),
    pieces: TokenBytes | None = None,
) -> Any:
    """Token ids to token ids: signature `generate`, which never says the ids that are `suppressed`.

    Inputs: `tokens` int32 `[1, sequence]`, the prompt, then anything; `length` int32 `[]`, the prompt's; `max_length`
    int32 `[]`, the answer's, prompt included; `temperature` float32 `[]` (0: the likeliest token), `top_k` int32 `[]`
    (0: all), `top_p` float32 `[]` (1: all) and `seed` int32 `[]`: the same seed draws the same numbers. With `pieces`,
    what tokens say, also `complete_word` int32 `[]`: 1 to complete a word that the prompt ends in.
    Outputs: `tokens` int32 `[1, sequence]`, prompt and new ids, then the end's; `length` int32 `[]`, the end token's
    included. Where a word is completed the prompt's last ids are others; their text begins as the prompt does.
    """
    integers = ["length", "max_length", "top_k", "seed", *([] if pieces is None else [signatures.COMPLETE_WORD])]

    @tf.function(autograph=False)
    def generate(tokens: tf.Tensor, **given: tf.Tensor) -> dict[str, tf.Tensor]:
        prompt, count, narrow = tokens[0], tf.clip_by_value(given["length"], 1, lengths.sequence), None
        if pieces is not None:
            prompt, count, narrow = _open(prompt, count, given["complete_word"] > 0, ends[0], pieces)
        maximum = tf.minimum(given["max_length"], lengths.sequence)
        uniform = sampler.hashed_draws(given["seed"], lengths.sequence)
        rule = sampler.Inputs(given["temperature"], given["top_k"], given["top_p"], suppressed)

        def choose(logits: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
            draws = sampler.of_rows(uniform, logits, known)
            return sampler.choose_by_inputs(narrow(logits, known) if narrow else logits, rule, draws)

        greedy = given["temperature"] <= 0.0
        ids, length = growing_loop.generate(
            prompt, count, growing_loop.Plan(shape, ends, lengths, choose, maximum, greedy)
        )
        return {"tokens": ids[tf.newaxis], "length": length}

    specs = {"tokens": tf.TensorSpec([1, lengths.sequence], tf.int32, name="tokens")}
    specs |= {n: tf.TensorSpec([], tf.int32, name=n) for n in integers}
    specs |= {n: tf.TensorSpec([], tf.float32, name=n) for n in ("temperature", "top_p")}
    return generate.get_concrete_function(**specs)


def _open(
    ids: tf.Tensor, count: tf.Tensor, wanted: tf.Tensor, end: int, pieces: TokenBytes
) -> tuple[tf.Tensor, tf.Tensor, token_healing.Narrow]:
    """A prompt's ids without those taken back, how many are left, and what the first new one must begin with.

    In the place of all of them the end token stands, as there must be one.
    """
    begun = token_healing.take_back(ids, count, wanted, pieces)
    none = tf.logical_and(tf.equal(begun.count, 0), tf.equal(tf.range(ids.shape[0]), 0))
    left = tf.maximum(begun.count, 1)
    return tf.where(none, end, ids), left, token_healing.narrowing(begun, left, pieces)


def text_driver(vocabulary: Vocabulary, shape: Shape, limits: Limits, rule: Sampler) -> Any:
    """String to string: signature `serving_default`, input `prompt`, output `text`, scalars.

    The answer is the whole prompt, byte for byte, then the new text, at most `max_output_bytes` in all, cut at a
    code point; a longer prompt answers itself.
    """
    size = limits.max_output_bytes
    strings = tf.constant(vocabulary.token_bytes, tf.string)
    pieces = (
        token_bytes.table(vocabulary.token_bytes, shape.vocabulary, rule.suppressed) if limits.complete_word else None
    )

    @tf.function(input_signature=[tf.TensorSpec(None, tf.string, name="prompt")], autograph=False)
    def serving_default(prompt: tf.Tensor) -> dict[str, tf.Tensor]:
        prompt = tf.reshape(prompt, [])  # the original recipe passes shape [1], the Android app a scalar
        ids, count, length = read_prompt(prompt, size, vocabulary)
        uniform, begun, narrow = sampler.draws(limits.loop.sequence, rule.seed), None, None
        if pieces is None:
            tokens, count = window(ids, count, vocabulary, limits.context_window)
        else:
            begun = token_healing.take_back(ids, count, tf.constant(True), pieces)
            tokens, count = window(ids, begun.count, vocabulary, limits.context_window)
            narrow, uniform = token_healing.narrowing(begun, count, pieces), tf.maximum(uniform, sampler.LEAST_DRAW)

        def choose(logits: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
            draws = sampler.of_rows(uniform, logits, known)
            return sampler.choose(narrow(logits, known) if narrow else logits, rule, draws)

        maximum = tf.constant(limits.loop.sequence)
        ids, _ = fixed_loop.generate(
            tokens, count, growing_loop.Plan(shape, vocabulary.end_token_ids, limits.loop, choose, maximum)
        )
        new = tf.where(tf.range(limits.loop.sequence) < count, vocabulary.end_token_id, ids)  # the end's text is empty
        written = tf.strings.reduce_join(tf.gather(strings, new))
        if begun is not None:
            whole = tf.strings.length(written)
            written = tf.strings.substr(written, tf.minimum(begun.size, whole), whole)
        room = tf.maximum(size - length, 0)
        # Sampled bytes may be no text, and a cut may split a character: either is dropped.
        whole = tf.strings.unicode_transcode(written, "UTF-8", "UTF-8", errors="ignore")
        cut = tf.strings.unicode_transcode(tf.strings.substr(whole, 0, room), "UTF-8", "UTF-8", errors="ignore")
        return {"text": tf.strings.join([prompt, cut])}

    return serving_default.get_concrete_function()


def read_prompt(prompt: tf.Tensor, size: int, vocabulary: Vocabulary) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Tokens of a string's first `size` bytes.

    Returns:
      int32 `[size]` ids, or one more; int32 `[]`, how many of them count; int32 `[]`, the bytes of the whole string.
    """
    encode = encoder.encoder(vocabulary)
    raw = tf.cast(tf.io.decode_raw(prompt, tf.uint8), tf.int32)
    length = tf.size(raw)
    text = tf.concat([raw[:size], tf.zeros([size], tf.int32)], 0)[:size]
    text = tf.reshape(text, [size])
    ids, count = encode(text, tf.minimum(length, size))
    return ids, count, length


def window(ids: tf.Tensor, count: tf.Tensor, vocabulary: Vocabulary, most: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The start token and the `most` last ids, int32 `[most + 1]`, and how many they are.

    A text without tokens begins with the start token, or the end token of a model that has no start token.
    """
    width = most + 1
    kept = tf.minimum(count, most)
    last = tf.slice(tf.concat([ids, tf.zeros([width], tf.int32)], 0), [count - kept], [width])
    if vocabulary.start_token_id is None:
        first = tf.equal(tf.range(width), 0)
        last = tf.where(tf.logical_and(first, tf.equal(kept, 0)), vocabulary.end_token_id, last)
        return last, tf.maximum(kept, 1)
    return tf.concat([[vocabulary.start_token_id], last[:-1]], 0), kept + 1
