"""The tokens model (tokens.tflite) as a Python call, in LiteRT's two interfaces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.tflite.signatures import COMPLETE_WORD, GENERATE

_FLOATS = ("temperature", "top_p")


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen: temperature 0 is greedy, top_k 0 and top_p 1 exclude none."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0


# (the prompt's ids, longest answer in tokens, sampling) → prompt and new ids, an end token included
Generate = Callable[[Sequence[int], int, Sampling], list[int]]


def interpreted(interpreter: Any) -> Generate:
    """A call of an Interpreter (`interpreters.litert`), the interface that every runtime has."""
    call = interpreter.get_signature_runner(GENERATE)
    details = call.get_input_details()

    def generate(prompt: Sequence[int], max_length: int, sampling: Sampling) -> list[int]:
        outputs = call(**_inputs(prompt, max_length, sampling, details))
        return _answer_ids(outputs["tokens"], outputs["length"])

    return generate


def compiled(model: Any) -> Generate:
    """A call of a CompiledModel (`compiled.load`)."""
    details = model.get_input_tensor_details(GENERATE)
    size = int(details["tokens"]["shape"][1])
    inputs = {name: model.create_input_buffer_by_name(GENERATE, name) for name in details}
    outputs = {name: model.create_output_buffer_by_name(GENERATE, name) for name in ("tokens", "length")}

    def generate(prompt: Sequence[int], max_length: int, sampling: Sampling) -> list[int]:
        for name, value in _inputs(prompt, max_length, sampling, details).items():
            inputs[name].write(np.atleast_1d(value))
        model.run_by_name(GENERATE, inputs, outputs)
        return _answer_ids(outputs["tokens"].read(size, np.int32), outputs["length"].read(1, np.int32))

    return generate


def _inputs(prompt: Sequence[int], max_length: int, sampling: Sampling, details: Mapping[str, Any]) -> dict[str, Array]:
    """The inputs of the signature; a word that the prompt ends in is not completed."""
    tokens = np.zeros(details["tokens"]["shape"], np.int32)
    tokens[0, : len(prompt)] = prompt
    numbers = {"length": len(prompt), "max_length": max_length} | asdict(sampling)
    numbers |= {COMPLETE_WORD: 0} if COMPLETE_WORD in details else {}
    return {"tokens": tokens} | scalars(numbers)


def scalars(numbers: Mapping[str, float]) -> dict[str, Array]:
    """Scalar inputs by name, each in the type of the input."""
    return {n: np.array(v, np.float32 if n in _FLOATS else np.int32) for n, v in numbers.items()}


def _answer_ids(tokens: Array, length: Array) -> list[int]:
    ids: list[int] = np.reshape(tokens, -1)[: int(np.reshape(length, -1)[0])].tolist()
    return ids
