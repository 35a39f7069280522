"""Whether a text becomes the same ids everywhere: by the model's own tokenizer, the bundle's, and in the graph."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tokenizers

from autocomplete.common.native_log import quiet
from autocomplete.graph import encoder
from autocomplete.runtime import interpreters
from autocomplete.tflite import flatbuffer, skeleton
from autocomplete.tokenizer import tokenizer, tokenizer_json

_BYTES = 1000  # of a text that the graph reads at once
_SIGNATURE = "encode"

Encode = Callable[[str], list[int]]


def match(documents: Sequence[str], own: tokenizers.Tokenizer, others: Sequence[Encode]) -> float:
    """The share of pieces of documents, `_BYTES` at most each, that all tokenizers cut into the same ids."""
    parts = [part for document in documents for part in pieces(document)]
    expected = [found.ids for found in own.encode_batch(parts)]
    equal = [all(encode(part) == ids for encode in others) for part, ids in zip(parts, expected, strict=True)]
    return float(np.mean(equal))


def pieces(document: str) -> list[str]:
    """A document in pieces of whole characters that the graph can read."""
    raw = document.encode()
    found, begin = [], 0
    while begin < len(raw):
        end = min(begin + _BYTES, len(raw))
        while end < len(raw) and raw[end] & 0xC0 == 0x80:
            end -= 1
        found.append(raw[begin:end].decode())
        begin = end
    return found


def of_bundle(content: Mapping[str, Any]) -> Encode:
    """The tokenizer.json that package puts into the bundle, as an app loads it."""
    bundled = tokenizer_json.for_clients(content)
    loaded = tokenizers.Tokenizer.from_str(tokenizer_json.serialize(bundled))
    return lambda part: list(loaded.encode(part).ids)


def of_graph(vocabulary: tokenizer.Vocabulary, folder: Path) -> Encode:
    """The tokenization inside text and portable models, by itself, as a model in `folder`."""
    encode = encoder.encoder(vocabulary)

    @tf.function(autograph=False)
    def run(text: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        ids, count = encode(tf.cast(text, tf.int32), length)
        return {"ids": ids, "count": count}

    specs = tf.TensorSpec([_BYTES], tf.uint8, name="text"), tf.TensorSpec([], tf.int32, name="length")
    path = folder / "encode.tflite"
    with quiet():
        flatbuffer.write(skeleton.convert({_SIGNATURE: run.get_concrete_function(*specs)}), path)
    call = interpreters.litert(path, 1).get_signature_runner(_SIGNATURE)

    def ids(part: str) -> list[int]:
        raw = part.encode()
        given = np.frombuffer(raw.ljust(_BYTES, b"\0"), np.uint8)
        found = call(text=given, length=np.int32(len(raw)))
        return [int(i) for i in found["ids"][: int(found["count"])]]

    return ids
