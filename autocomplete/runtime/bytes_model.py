"""The bytes model (portable.tflite) as a Python call, in LiteRT's two interfaces and TensorFlow's interpreter."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.runtime.tokens_model import Sampling, scalars
from autocomplete.tflite.signatures import GENERATE

# (prompt, new tokens at most, sampling, whether a word that the prompt ends in is completed) → the new text
Continue = Callable[[bytes, int, Sampling, bool], bytes]
_OUTPUTS = ("text", "text_length")


def interpreted(interpreter: Any) -> Continue:
    """A call of an Interpreter (`interpreters.litert`, `interpreters.tensorflow`)."""
    call = interpreter.get_signature_runner(GENERATE)
    prompt_bytes = int(call.get_input_details()["prompt"]["shape"][1])

    def proceed(prompt: bytes, max_tokens: int, sampling: Sampling, complete_word: bool) -> bytes:
        outputs = call(**inputs(prompt, max_tokens, sampling, complete_word, prompt_bytes))
        return _text(*(outputs[n] for n in _OUTPUTS))

    return proceed


def compiled(model: Any) -> Continue:
    """A call of a CompiledModel (`compiled.load`)."""
    input_details, output_details = model.get_input_tensor_details(GENERATE), model.get_output_tensor_details(GENERATE)
    prompt_bytes, text_bytes = (int(d["shape"][1]) for d in (input_details["prompt"], output_details["text"]))
    buffers = {name: model.create_input_buffer_by_name(GENERATE, name) for name in input_details}
    outputs = {name: model.create_output_buffer_by_name(GENERATE, name) for name in _OUTPUTS}

    def proceed(prompt: bytes, max_tokens: int, sampling: Sampling, complete_word: bool) -> bytes:
        for name, value in inputs(prompt, max_tokens, sampling, complete_word, prompt_bytes).items():
            buffers[name].write(np.atleast_1d(value))
        model.run_by_name(GENERATE, buffers, outputs)
        return _text(outputs["text"].read(text_bytes, np.uint8), outputs["text_length"].read(1, np.int32))

    return proceed


def inputs(
    prompt: bytes, max_tokens: int, sampling: Sampling, complete_word: bool, prompt_bytes: int
) -> dict[str, Array]:
    """The inputs of the signature; of a longer prompt, whole characters of its last `prompt_bytes` bytes."""
    end = last_characters(prompt, prompt_bytes)
    numbers = {"prompt_length": len(end), "max_tokens": max_tokens, "complete_word": int(complete_word)}
    padded = np.zeros((1, prompt_bytes), np.uint8)
    padded[0, : len(end)] = np.frombuffer(end, np.uint8)
    return {"prompt": padded} | scalars(numbers | asdict(sampling))


def last_characters(text: bytes, max_bytes: int) -> bytes:
    """The last `max_bytes` bytes of UTF-8 at most, without a rest of a character that the cut splits."""
    end = text[max(len(text) - max_bytes, 0) :]
    if len(end) == len(text):
        return text
    # A cut leaves at most three continuation bytes of a character.
    return end[:3].lstrip(bytes(range(0x80, 0xC0))) + end[3:]


def _text(text: Array, length: Array) -> bytes:
    return np.reshape(text, -1)[: int(np.reshape(length, -1)[0])].tobytes()
