"""The bytes flavour (portable.tflite) as a Python call, in LiteRT's two interfaces and TensorFlow's interpreter."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.runtime.tokens_model import Sampling, scalars
from autocomplete.tflite.signatures import GENERATE

# (prompt, most new tokens, sampling, whether a word that the prompt ends in is completed) → the new text
Continue = Callable[[bytes, int, Sampling, bool], bytes]
_OUTPUTS = ("text", "text_length")


def interpreted(interpreter: Any) -> Continue:
    """A call of an Interpreter (runner.litert, runner.tensorflow)."""
    call = interpreter.get_signature_runner(GENERATE)
    room = int(call.get_input_details()["prompt"]["shape"][1])

    def proceed(prompt: bytes, tokens: int, sampling: Sampling, complete_word: bool) -> bytes:
        outputs = call(**inputs(prompt, tokens, sampling, complete_word, room))
        return _text(*(outputs[n] for n in _OUTPUTS))

    return proceed


def compiled(model: Any) -> Continue:
    """A call of a CompiledModel (compiled.load)."""
    details, made = model.get_input_tensor_details(GENERATE), model.get_output_tensor_details(GENERATE)
    room, size = (int(d["shape"][1]) for d in (details["prompt"], made["text"]))
    given = {name: model.create_input_buffer_by_name(GENERATE, name) for name in details}
    results = {name: model.create_output_buffer_by_name(GENERATE, name) for name in _OUTPUTS}

    def proceed(prompt: bytes, tokens: int, sampling: Sampling, complete_word: bool) -> bytes:
        for name, value in inputs(prompt, tokens, sampling, complete_word, room).items():
            given[name].write(np.atleast_1d(value))
        model.run_by_name(GENERATE, given, results)
        return _text(results["text"].read(size, np.uint8), results["text_length"].read(1, np.int32))

    return proceed


def inputs(prompt: bytes, tokens: int, sampling: Sampling, complete_word: bool, room: int) -> dict[str, Array]:
    """What the signature takes for a prompt, of which the last `room` bytes are handed over, whole characters."""
    kept = last_characters(prompt, room)
    numbers = {"prompt_length": len(kept), "max_tokens": tokens, "complete_word": int(complete_word)} | asdict(sampling)
    padded = np.zeros((1, room), np.uint8)
    padded[0, : len(kept)] = np.frombuffer(kept, np.uint8)
    return {"prompt": padded} | scalars(numbers)


def last_characters(text: bytes, room: int) -> bytes:
    """The last `room` bytes of UTF-8 at most, without the rest of a character that the cut goes through."""
    kept = text[max(len(text) - room, 0) :]
    if len(kept) == len(text):
        return text
    rest = kept[:3]  # as much of a character may be left
    return rest.lstrip(bytes(range(0x80, 0xC0))) + kept[3:]


def _text(text: Array, length: Array) -> bytes:
    return np.reshape(text, -1)[: int(np.reshape(length, -1)[0])].tobytes()
