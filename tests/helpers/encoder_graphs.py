"""The encoder in a graph, beside Hugging Face's `tokenizers`."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tokenizers
from tokenizers import normalizers

from autocomplete.common.native_log import quiet
from autocomplete.graph import encoder
from autocomplete.runtime import interpreters
from autocomplete.tflite import flatbuffer, skeleton
from autocomplete.tokenizer import tokenizer, tokenizer_json
from helpers.folders import kept
from helpers.learned_tokenizers import KINDS, NFC, SIZE, Content

Call = Callable[[bytes], list[int]]


@dataclass(frozen=True)
class Kind:
    """A tokenizer.json, what `tokenizers` makes of it, its vocabulary for graphs, and a graph of it."""

    content: Content
    known: tokenizers.Tokenizer
    vocabulary: tokenizer.Vocabulary
    path: Path


def function(content: Content, size: int) -> Any:
    """The encoder of a tokenizer.json as a function of TensorFlow."""
    encode = encoder.encoder(tokenizer.parse_vocabulary(content, None, (0,)))
    specs = [tf.TensorSpec([size], tf.int32, name="text"), tf.TensorSpec([], tf.int32, name="length")]

    @tf.function(autograph=False, input_signature=specs)
    def run(text: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(("ids", "count"), encode(text, length), strict=True))

    return run


@functools.cache
def kind(name: str) -> Kind:
    content = KINDS[name]()
    path = kept("encoder") / "encode.tflite"
    with quiet():
        flatbuffer.write(skeleton.convert({"encode": function(content, SIZE).get_concrete_function()}), path)
    vocabulary = tokenizer.parse_vocabulary(content, None, (0,))
    return Kind(content, tokenizer_json.load(content), vocabulary, path)


def caller(run: Any, size: int = SIZE) -> Call:
    def call(data: bytes) -> list[int]:
        text = np.zeros(size, np.int32)
        text[: len(data)] = list(data)
        made = run(text=text, length=np.int32(len(data)))
        return [int(i) for i in np.asarray(made["ids"])[: int(made["count"])]]

    return call


@functools.cache
def litert(name: str) -> Call:
    return caller(interpreters.litert(kind(name).path, 1).get_signature_runner("encode"))


def small_graph(content: Content, many: bool) -> Call:
    """The encoder of a small tokenizer.json, run by TensorFlow; of few texts operator by operator."""
    run = function(content, 64)
    return caller(run if many else run.python_function, 64)


def normal(content: Content, text: str) -> str:
    return normalizers.NFC().normalize_str(text) if content["normalizer"] == NFC else text


Tokens = list[str | None]


def differing(call: Call, known: tokenizers.Tokenizer, given: Sequence[str]) -> list[tuple[str, Tokens, Tokens]]:
    """Texts that a graph and `tokenizers` make other ids of, with the tokens of both."""
    expected = [made.ids for made in known.encode_batch(list(given))]
    pairs = [(text, call(text.encode()), ids) for text, ids in zip(given, expected, strict=True)]
    return [(t, [known.id_to_token(i) for i in a], [known.id_to_token(i) for i in b]) for t, a, b in pairs if a != b]


def agreed(content: Content, given: Sequence[str]) -> list[list[int]]:
    """The ids of texts, which a graph and `tokenizers` agree on."""
    call, known = small_graph(content, len(given) > 15), tokenizer_json.load(content)
    assert differing(call, known, given) == []
    return [made.ids for made in known.encode_batch(list(given))]


def in_apps(content: Content, given: Sequence[str]) -> list[list[int]]:
    """The ids of texts in an app that knows nothing of special tokens."""
    known = tokenizers.Tokenizer.from_str(tokenizer_json.serialize(tokenizer_json.for_clients(content)))
    return [made.ids for made in known.encode_batch(list(given))]
