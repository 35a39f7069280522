"""The tokens flavour as a Python call, in LiteRT's two interfaces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.tflite.signatures import COMPLETE_WORD, GENERATE


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn: temperature 0 takes the likeliest, top_k 0 and top_p 1 leave out none."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0


# (prompt's ids, longest answer in tokens, sampling) → prompt and new ids, an end token included
Generate = Callable[[Sequence[int], int, Sampling], list[int]]


def interpreted(interpreter: Any) -> Generate:
    """A call of an Interpreter (runner.litert): every runtime has one."""
    call = interpreter.get_signature_runner(GENERATE)
    details = call.get_input_details()

    def generate(prompt: Sequence[int], maximum: int, sampling: Sampling) -> list[int]:
        outputs = call(**_inputs(prompt, maximum, sampling, details))
        return _said(outputs["tokens"], outputs["length"])

    return generate


def compiled(model: Any) -> Generate:
    """A call of a CompiledModel (compiled.load)."""
    details = model.get_input_tensor_details(GENERATE)
    room = int(details["tokens"]["shape"][1])
    given = {name: model.create_input_buffer_by_name(GENERATE, name) for name in details}
    made = {name: model.create_output_buffer_by_name(GENERATE, name) for name in ("tokens", "length")}

    def generate(prompt: Sequence[int], maximum: int, sampling: Sampling) -> list[int]:
        for name, value in _inputs(prompt, maximum, sampling, details).items():
            given[name].write(np.atleast_1d(value))
        model.run_by_name(GENERATE, given, made)
        return _said(made["tokens"].read(room, np.int32), made["length"].read(1, np.int32))

    return generate


def _inputs(prompt: Sequence[int], maximum: int, sampling: Sampling, details: Mapping[str, Any]) -> dict[str, Array]:
    """What the signature takes; a word that the prompt ends in is left as it is, where the model would complete it."""
    tokens = np.zeros(details["tokens"]["shape"], np.int32)
    tokens[0, : len(prompt)] = prompt
    numbers = {"length": len(prompt), "max_length": maximum} | asdict(sampling)
    numbers |= {COMPLETE_WORD: 0} if COMPLETE_WORD in details else {}
    return {"tokens": tokens} | scalars(numbers)


_FLOATS = ("temperature", "top_p")


def scalars(numbers: Mapping[str, float]) -> dict[str, Array]:
    """Numbers by the names of inputs `[]`, each in the type of its input."""
    return {n: np.array(v, np.float32 if n in _FLOATS else np.int32) for n, v in numbers.items()}


def _said(tokens: Array, length: Array) -> list[int]:
    said: list[int] = np.reshape(tokens, -1)[: int(np.reshape(length, -1)[0])].tolist()
    return said
