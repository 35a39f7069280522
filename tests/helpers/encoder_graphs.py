"""The encoder in a graph, compared with Hugging Face's `tokenizers`."""

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
    """A tokenizer.json, the tokenizer that `tokenizers` loads from it, its vocabulary for graphs, and its graph."""

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
        outputs = run(text=text, length=np.int32(len(data)))
        return [int(i) for i in np.asarray(outputs["ids"])[: int(outputs["count"])]]

    return call


@functools.cache
def litert(name: str) -> Call:
    return caller(interpreters.litert(kind(name).path, 1).get_signature_runner("encode"))


def small_graph(content: Content, many: bool) -> Call:
    """The encoder of a small tokenizer.json, run by TensorFlow; for few texts operator by operator."""
    run = function(content, 64)
    return caller(run if many else run.python_function, 64)


def normal(content: Content, text: str) -> str:
    return normalizers.NFC().normalize_str(text) if content["normalizer"] == NFC else text


Tokens = list[str | None]


def differing(call: Call, reference: tokenizers.Tokenizer, strings: Sequence[str]) -> list[tuple[str, Tokens, Tokens]]:
    """Texts that a graph and `tokenizers` encode differently, with the tokens of both."""
    expected = [encoding.ids for encoding in reference.encode_batch(list(strings))]
    pairs = [(text, call(text.encode()), ids) for text, ids in zip(strings, expected, strict=True)]
    return [
        (t, [reference.id_to_token(i) for i in a], [reference.id_to_token(i) for i in b]) for t, a, b in pairs if a != b
    ]


def agreed(content: Content, strings: Sequence[str]) -> list[list[int]]:
    """The ids of texts; asserts that a graph and `tokenizers` agree on them."""
    call, reference = small_graph(content, len(strings) > 15), tokenizer_json.load(content)
    assert differing(call, reference, strings) == []
    return [encoding.ids for encoding in reference.encode_batch(list(strings))]


def in_apps(content: Content, strings: Sequence[str]) -> list[list[int]]:
    """The ids of texts in an app that has no special tokens."""
    client = tokenizers.Tokenizer.from_str(tokenizer_json.serialize(tokenizer_json.for_clients(content)))
    return [encoding.ids for encoding in client.encode_batch(list(strings))]
