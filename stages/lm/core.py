"""The core: signatures `prefill_<n>` and `decode` over a KV cache, in LiteRT-LM's contract, and calls to it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from stages.lm import decoder
from stages.lm.decoder import Cache, Shape, Weights
from stages.tflite import linker, skeleton

# What LiteRT-LM adds to the scores of slots that a token must not see.
MASKED = float(np.float32(-0.7 * np.finfo(np.float32).max))
DECODE = "decode"
PLACEHOLDER = "Core/"

Call = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, Cache], tuple[tf.Tensor | None, Cache]]


def prefill_name(length: int) -> str:
    """The signature that reads `length` tokens at once."""
    return f"prefill_{length}"


def input_specs(shape: Shape, tokens: int, slots: int) -> dict[str, tf.TensorSpec]:
    """Names, shapes and types of a signature's inputs, weights left out."""
    cache = tf.TensorSpec([1, shape.heads, slots, shape.head_dim])
    return {
        "tokens": tf.TensorSpec([1, tokens], tf.int32),
        "input_pos": tf.TensorSpec([tokens], tf.int32),
        "mask": tf.TensorSpec([1, 1, tokens, slots]),
    } | dict.fromkeys(decoder.cache_names(shape.layers), cache)


def build(weights: Weights, slots: int, prefill_lengths: list[int]) -> schema.ModelT:
    """Converts the decoder to a float32 model with a KV cache of `slots` tokens."""
    lengths = {prefill_name(n): n for n in prefill_lengths} | {DECODE: 1}
    model = skeleton.convert({name: _trace(weights, n, slots, name == DECODE) for name, n in lengths.items()})
    return skeleton.inject(model, {_plain(n): m for n, m in weights.matrices.items()})


def _trace(weights: Weights, tokens: int, slots: int, head: bool) -> Any:
    specs = input_specs(weights.shape, tokens, slots)
    specs |= {_plain(n): tf.TensorSpec(m.shape) for n, m in weights.matrices.items()}

    @tf.function(autograph=False)
    def run(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        matrices = {n: inputs[_plain(n)] for n in weights.matrices}
        cache = {n: inputs[n] for n in decoder.cache_names(weights.shape.layers)}
        hidden, cache = decoder.forward(weights, matrices, inputs["tokens"], inputs["input_pos"], inputs["mask"], cache)
        return cache | ({"logits": decoder.logits(weights, matrices, hidden)} if head else {})

    return run.get_concrete_function(**{n: tf.TensorSpec(s.shape, s.dtype, name=n) for n, s in specs.items()})


def _plain(name: str) -> str:
    return "weight_" + name.replace("/", "_")


def causal_mask(first: tf.Tensor | int, tokens: int, slots: int) -> tf.Tensor:
    """What to add to attention scores of `tokens` queries from position `first` on, `[1, 1, tokens, slots]`."""
    visible = tf.range(slots)[tf.newaxis] <= (first + tf.range(tokens))[:, tf.newaxis]
    return tf.where(visible, 0.0, MASKED)[tf.newaxis, tf.newaxis]


def empty_cache(shape: Shape, slots: int) -> Cache:
    """A KV cache of zeros."""
    return {n: tf.zeros([1, shape.heads, slots, shape.head_dim]) for n in decoder.cache_names(shape.layers)}


def placeholder(shape: Shape, signature: str) -> Call:
    """A stand-in for a signature of the core: converted, it is a custom op of the signature's name for the linker."""
    names = decoder.cache_names(shape.layers)
    implements = f'name: "{PLACEHOLDER}{signature}" attr {{key: "tfl_fusable_op" value {{b: true}}}}'

    @tf.function(experimental_implements=implements, autograph=False)
    def stand_in(tokens: tf.Tensor, input_pos: tf.Tensor, mask: tf.Tensor, *cache: tf.Tensor) -> list[tf.Tensor]:
        # Every input must be used, or it is pruned before the converter sees the call.
        used = tf.cast(tf.reduce_sum(tokens) + tf.reduce_sum(input_pos), tf.float32) + tf.reduce_sum(mask)
        logits = [tf.fill([1, 1, shape.vocabulary], used)] if signature == DECODE else []
        return [*(c + used for c in cache), *logits]

    def call(tokens: tf.Tensor, input_pos: tf.Tensor, mask: tf.Tensor, cache: Cache) -> tuple[Any, Cache]:
        outputs = stand_in(tokens, input_pos, mask, *(cache[n] for n in names))
        logits = outputs[-1] if signature == DECODE else None
        return logits, dict(zip(names, outputs[: len(names)], strict=True))

    return call


def calls(layers: int, signatures: list[str]) -> dict[str, linker.Call]:
    """What each placeholder stands for, for the linker: custom op name → signature and operands in order."""
    names = decoder.cache_names(layers)
    return {
        PLACEHOLDER + s: linker.Call(
            s, ["tokens", "input_pos", "mask", *names], [*names, *(["logits"] if s == DECODE else [])]
        )
        for s in signatures
    }
