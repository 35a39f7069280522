"""Signatures of .tflite files as Python calls, in the two runtimes that the project ships for."""

import contextlib
import importlib.metadata
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.errors import UserError
from autocomplete.common.native_log import quiet
from autocomplete.tflite import flatbuffer

# What LiteRT-LM adds to the scores of slots that a token must not see.
_MASKED = np.float32(-0.7 * np.finfo(np.float32).max)

_PAST, _RECENT = ("past_k_", "past_v_"), ("recent_k_", "recent_v_")  # what the tensors of a KV cache are called
Arrays = dict[str, Array]
Call = Callable[..., Arrays]


def litert(path: Path, threads: int) -> Any:
    """An ai-edge-litert interpreter: built-in operators only."""
    from ai_edge_litert.interpreter import Interpreter

    with refusals(path), quiet():
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
    return interpreter


def tensorflow(path: Path, threads: int) -> Any:
    """TensorFlow's own interpreter with Select TF and TF Text operators, as the original recipe runs a model."""
    with quiet():
        import tensorflow_text
        from tensorflow.lite.python import interpreter as runtime

        registerers = tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS
        with refusals(path):
            interpreter = runtime.InterpreterWithCustomOps(
                model_path=str(path), custom_op_registerers=registerers, num_threads=threads
            )
            interpreter.allocate_tensors()
    return interpreter


@contextlib.contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turns what a runtime says of a file that it does not load into a UserError."""
    flatbuffer.check(path)  # a damaged file would crash the interpreters, which check less
    try:
        yield
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{path} does not load: {' '.join(str(error).split())}") from None


def versions() -> dict[str, str]:
    """The packages that run a model here."""
    names = ("ai-edge-litert", "tensorflow", "tensorflow-text", "numpy")
    return {name: importlib.metadata.version(name) for name in names}


def complete(interpreter: Any) -> Callable[[bytes], bytes]:
    """The text model as a function from the prompt's bytes to the answer's.

    Called as the Android app does, without a signature runner: Python's prepares the model anew in each call, and so
    restarts a fixed seed. Shape [1], as the interpreter takes the address of a scalar object for its text, and an
    array of bytes loses a NUL at its end.
    """
    prompt, text = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    interpreter.resize_tensor_input(prompt, [1])
    interpreter.allocate_tensors()

    def call(given: bytes) -> bytes:
        interpreter.set_tensor(prompt, np.array([given], dtype=object))
        interpreter.invoke()
        answer: bytes = interpreter.get_tensor(text).item()
        return answer

    return call


def chunks(signatures: Iterable[str]) -> list[int]:
    """The lengths of a core's prefill signatures, rising."""
    return sorted(int(n.removeprefix("prefill_")) for n in signatures if n.startswith("prefill_"))


def padded(tokens: Array, chunk: int) -> Iterator[tuple[int, Array]]:
    """Tokens `[n]` in chunks of equal length, the last one padded, with how many of each are meant."""
    for first in range(0, len(tokens), chunk):
        part = tokens[first : first + chunk]
        values = np.zeros(chunk, np.int32)
        values[: len(part)] = part
        yield len(part), values


def numbers(tokens: Array, position: int, slots: int) -> Arrays:
    """What LiteRT-LM gives a core's signature beside the KV cache, for tokens `[n]` behind `position` others."""
    positions = np.arange(position, position + len(tokens), dtype=np.int32)
    mask = np.where(np.arange(slots) <= positions[:, None], np.float32(0), _MASKED)[None, None]
    return {"tokens": tokens[None], "input_pos": positions, "mask": mask}


class Session:
    """One sequence through a core's signatures: the KV cache, and how many tokens are in it."""

    def __init__(self, interpreter: Any) -> None:
        self._signatures = interpreter.get_signature_list()
        self._runners = {n: interpreter.get_signature_runner(n) for n in self._signatures}
        details = self._runners["decode"].get_input_details()
        self._cache: Arrays = {n: np.zeros(d["shape"], d["dtype"]) for n, d in details.items() if "kv_cache" in n}
        self.slots = int(details["mask"]["shape"][-1])
        self.position = 0

    @property
    def chunks(self) -> list[int]:
        """The lengths of the prefill signatures, rising."""
        return chunks(self._signatures)

    def reset(self) -> None:
        """Begins a new sequence; old slots are masked until they are written again."""
        self.position = 0

    def prefill(self, tokens: Array, chunk: int) -> None:
        """Reads tokens `[n]` in chunks of one signature, the last one padded."""
        for part, values in padded(tokens, chunk):
            self._call(f"prefill_{chunk}", values)
            self.position += part

    def decode(self, token: int) -> Array:
        """Reads one token; returns the next one's logits, `[vocab]`."""
        outputs = self._call("decode", np.array([token], np.int32))
        self.position += 1
        logits: Array = outputs["logits"][0, 0]
        return logits

    def inputs(self, tokens: Array) -> Arrays:
        """What a signature is given to read the next tokens `[n]`."""
        return numbers(tokens, self.position, self.slots) | self._cache

    def _call(self, signature: str, tokens: Array) -> Arrays:
        outputs: Arrays = self._runners[signature](**self.inputs(tokens))
        self._cache = {n: outputs[n] for n in self._cache}
        return outputs


class Steps:
    """One sequence through a core's signatures of fixed shape `step_<n>`, as the drivers of text and bytes call them.

    Read and write as with a Session: another order of sums rounds otherwise, and quantized activations show that.
    """

    def __init__(self, interpreter: Any) -> None:
        names = [n for n in interpreter.get_signature_list() if re.fullmatch(r"step_\d+", n)]
        self._runners = {int(n.removeprefix("step_")): interpreter.get_signature_runner(n) for n in names}
        self._details = {n: r.get_input_details() for n, r in self._runners.items()}
        self.reset()

    @property
    def chunks(self) -> list[int]:
        """The length of the signature that reads a prompt."""
        return [max(self._runners)]

    @property
    def _slots(self) -> tuple[int, int]:
        """How many slots `past` and `recent` have."""
        return self._details[1]["past_mask"]["shape"][3], self._details[1]["slots"]["shape"][2]

    def reset(self) -> None:
        """Begins a new sequence."""
        details = self._details[1]
        self.position = self._start = 0
        self._past = {n: np.zeros(d["shape"], d["dtype"]) for n, d in details.items() if n.startswith(_PAST)}
        self._forget()

    def prefill(self, tokens: Array, chunk: int) -> None:
        """Reads tokens `[n]` in chunks, the last one padded; of many the end one by one, as the loop does."""
        past, recent = self._slots
        read = tokens[: past - recent]
        for first in (min(f, past - chunk) for f in range(0, len(read), chunk)):
            padded = np.resize(read[first : first + chunk], chunk)
            self._start = first
            self._recent = self._empty(chunk)
            self._call(padded, first)
            self._join()
        self.position = self._start = len(read)
        self._forget()
        for token in tokens[len(read) :]:
            self.decode(token)

    def decode(self, token: int) -> Array:
        """Reads one token; returns the next one's logits, `[vocab]`."""
        past, recent = self._slots
        if self.position - self._start == (past - self._start - 1) % recent + 1:
            self._join()
            self._start = self.position
            self._forget()
        logits: Array = self._call(np.array([token], np.int32), self.position)
        self.position += 1
        return logits

    def _forget(self) -> None:
        self._recent = self._empty(1)

    def _empty(self, tokens: int) -> Arrays:
        details = self._details[tokens]
        return {n: np.zeros(d["shape"], d["dtype"]) for n, d in details.items() if n.startswith(_RECENT)}

    def _join(self) -> None:
        """Copies `recent` into `past`."""
        for name, recent in self._recent.items():
            axis = 3 if name.startswith("recent_k") else 2  # keys are transposed
            past = np.moveaxis(self._past[name.replace("recent", "past")], axis, 0)
            past[self._start : self._start + recent.shape[axis]] = np.moveaxis(recent, axis, 0)

    def _call(self, tokens: Array, first: int) -> Array:
        details = self._details[len(tokens)]
        positions = np.arange(first, first + len(tokens), dtype=np.int32)
        slots = self._start + np.arange(details["slots"]["shape"][2])
        visible = slots <= positions[:, None]
        earlier = np.arange(details["past_mask"]["shape"][3]) < self._start
        places = {"recent_pos": slots, "past_pos": np.arange(len(earlier))}  # where layers have windows
        outputs = self._runners[len(tokens)](
            tokens=tokens[None],
            input_pos=positions,
            last=np.array([len(tokens) - 1], np.int32),
            recent_mask=np.where(visible, np.float32(0), _MASKED)[None, None],
            past_mask=np.where(earlier, np.float32(0), _MASKED)[None, None, None],
            slots=((slots == first) | (len(tokens) > 1)).astype(np.float32)[None, None, :, None],
            **{n: v.astype(np.int32) for n, v in places.items() if n in details},
            **self._recent,
            **self._past,
        )
        self._recent = {n: outputs[n] for n in self._recent}
        logits: Array = outputs["logits"][0, 0]
        return logits
