"""Whether a text becomes the same ids everywhere: by the model's own tokenizer, by the bundle's, and in the graph."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tokenizers

from autocomplete.common.json_files import JsonObject
from autocomplete.common.metrics import MetricValues
from autocomplete.common.native_log import quiet
from autocomplete.evaluate.mode_files import ModelFiles
from autocomplete.graph import encoder, prompt_tokens
from autocomplete.runtime import interpreters
from autocomplete.tflite import flatbuffer, skeleton
from autocomplete.tokenizer import tokenizer, tokenizer_json

_PIECE_BYTES = 1000  # of a text that the graph reads at once
_SIGNATURE = "encode"

Encode = Callable[[str], list[int]]


def measure(files: ModelFiles, documents: Sequence[str], folder: Path) -> MetricValues:
    """The share of the evaluation text that every tokenizer encodes alike; `folder` takes the graph's model."""
    content = tokenizer.read_tokenizer_json(files.preset)
    encoders = [bundle_encoder(content)]
    if (files.converted / "bytes_driver.tflite").exists():
        vocabulary = prompt_tokens.vocabulary_for(files.preset, files.model)
        encoders.append(graph_encoder(vocabulary, folder))
    return {"tokenizer_match": share_encoded_alike(documents, files.bpe, encoders)}


def share_encoded_alike(documents: Sequence[str], reference: tokenizers.Tokenizer, encoders: Sequence[Encode]) -> float:
    """The share of pieces of documents that all encoders turn into the same ids as the reference."""
    texts = [piece for document in documents for piece in pieces(document)]
    expected = [encoding.ids for encoding in reference.encode_batch(texts)]
    equal = [all(encode(text) == ids for encode in encoders) for text, ids in zip(texts, expected, strict=True)]
    return float(np.mean(equal))


def pieces(document: str) -> list[str]:
    """A document in pieces of whole characters, each short enough for the graph."""
    raw = document.encode()
    parts, begin = [], 0
    while begin < len(raw):
        end = min(begin + _PIECE_BYTES, len(raw))
        while end < len(raw) and raw[end] & 0xC0 == 0x80:
            end -= 1
        parts.append(raw[begin:end].decode())
        begin = end
    return parts


def bundle_encoder(content: JsonObject) -> Encode:
    """The tokenizer.json that package puts into the bundle, as an app loads it."""
    bundled = tokenizer_json.for_clients(content)
    loaded = tokenizers.Tokenizer.from_str(tokenizer_json.serialize(bundled))
    return lambda text: list(loaded.encode(text).ids)


def graph_encoder(vocabulary: tokenizer.Vocabulary, folder: Path) -> Encode:
    """The tokenizer inside text and portable models, as a model of its own in `folder`."""
    encode = encoder.encoder(vocabulary)

    @tf.function(autograph=False)
    def run(text: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        ids, count = encode(tf.cast(text, tf.int32), length)
        return {"ids": ids, "count": count}

    specs = tf.TensorSpec([_PIECE_BYTES], tf.uint8, name="text"), tf.TensorSpec([], tf.int32, name="length")
    path = folder / "encode.tflite"
    with quiet():
        flatbuffer.write(skeleton.convert({_SIGNATURE: run.get_concrete_function(*specs)}), path)
    call = interpreters.litert(path, 1).get_signature_runner(_SIGNATURE)

    def encode_text(text: str) -> list[int]:
        raw = text.encode()
        padded = np.frombuffer(raw.ljust(_PIECE_BYTES, b"\0"), np.uint8)
        outputs = call(text=padded, length=np.int32(len(raw)))
        return [int(i) for i in outputs["ids"][: int(outputs["count"])]]

    return encode_text
