"""Models in LiteRT's CompiledModel, whose inputs and outputs lie in buffers that are not copied in each call."""

import functools
import math
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from autocomplete.common.arrays import Array
from autocomplete.common.native_log import quiet, quiet_exit
from autocomplete.runtime import interpreters, sessions
from autocomplete.tflite.signatures import SCORE

# LiteRT's TensorBuffers by the names of a signature's inputs or outputs; the package has no types.
Buffers: TypeAlias = dict[str, Any]


def load(path: Path, threads: int, weight_cache: Path | None = None) -> Any:
    """A CompiledModel.

    With a `weight_cache`, XNNPACK keeps the weights in that file as it packs them. If the file exists already, the
    model's own weights are not read: memory holds them once, and other processes share the file's pages. The file
    belongs to one model and one version of the runtime; name it after both.

    Raises:
      UserError: if the model is missing, damaged or refused.
    """
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.cpu_options import CpuOptions
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator
    from ai_edge_litert.options import Options

    options = CpuOptions(num_threads=threads, xnnpack_weight_cache_path=str(weight_cache or ""))
    with interpreters.load_errors(path), quiet():
        return CompiledModel.from_file(
            str(path),
            environment=_environment(),
            options=Options(hardware_accelerators=HardwareAccelerator.CPU, cpu_options=options),
        )


@functools.cache
def _environment() -> Any:
    """One environment for all models, as each prints what it registers and, at its end, takes down."""
    from ai_edge_litert.environment import Environment

    quiet_exit()
    return Environment.create()


class CompiledSession:
    """A `sessions.DecodeSession` over a CompiledModel, without copies of the KV cache.

    A call writes the cache into a second set of buffers, and the two sets are swapped. At GPT-2 base's size a copy
    takes longer than the model.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._signatures = list(model.get_signature_list())
        with_logits = [n for n in ("decode", SCORE) if n in self._signatures]
        details = model.get_input_tensor_details(with_logits[0])
        self._cache = {n: model.create_input_buffer_by_name(with_logits[0], n) for n in details if "kv_cache" in n}
        self._next_cache = {n: model.create_output_buffer_by_name(with_logits[0], n) for n in self._cache}
        with quiet():  # the first write of all starts another runtime, which reports itself
            for name, buffer in self._cache.items():  # slots are masked, but a NaN would pass through a mask
                buffer.write(np.zeros(details[name]["shape"], np.float32))
        prefills = [n for n in self._signatures if n.startswith("prefill")]
        self._inputs = {n: self._input_buffers(n) for n in (*with_logits, *prefills)}
        self._logits = {n: self._logits_buffer(n) for n in with_logits}
        self.slots = int(details["mask"]["shape"][-1])
        self.position = 0

    @property
    def chunks(self) -> list[int]:
        """The lengths of the prefill signatures, in ascending order."""
        return sessions.prefill_lengths(self._signatures)

    def reset(self) -> None:
        """Begins a new sequence; old slots stay masked until they are written again."""
        self.position = 0

    def prefill(self, tokens: Array, chunk: int) -> None:
        """Reads tokens `[n]` in chunks of one signature, the last one padded."""
        for count, values in sessions.padded_chunks(tokens, chunk):
            self._call(f"prefill_{chunk}", values, {})
            self.position += count

    def decode(self, token: int) -> Array:
        """Reads one token; returns the logits of the next one, `[V]`."""
        (logits,) = self._logits_of("decode", np.array([token], np.int32))
        return np.asarray(logits)

    @property
    def can_score(self) -> bool:
        """Whether the core has the signature `score`."""
        return SCORE in self._signatures

    def score(self, tokens: Array) -> Array:
        """Logits `[n, V]` behind each of the tokens `[n]`, read in chunks from the sequence's beginning."""
        self.reset()
        length = int(self._model.get_input_tensor_details(SCORE)["tokens"]["shape"][-1])
        chunks = sessions.padded_chunks(tokens, length)
        return np.concatenate([self._logits_of(SCORE, values, count) for count, values in chunks])

    def _logits_of(self, signature: str, tokens: Array, count: int = 1) -> Array:
        """Reads tokens; returns the logits `[count, V]` behind the first of them."""
        buffer, shape = self._logits[signature]
        self._call(signature, tokens, {"logits": buffer})
        self.position += count
        logits: Array = np.asarray(buffer.read(math.prod(shape), np.float32)).reshape(shape)[0, :count]
        return logits

    def _logits_buffer(self, signature: str) -> tuple[Any, tuple[int, ...]]:
        """A buffer for a signature's logits, and their shape `[1, T, V]`."""
        shape = self._model.get_output_tensor_details(signature)["logits"]["shape"]
        return self._model.create_output_buffer_by_name(signature, "logits"), tuple(map(int, shape))

    def _input_buffers(self, signature: str) -> Buffers:
        """Buffers for a signature's inputs without the cache."""
        names = ("tokens", "input_pos", "mask")
        return {n: self._model.create_input_buffer_by_name(signature, n) for n in names}

    def _call(self, signature: str, tokens: Array, outputs: Buffers) -> None:
        buffers = self._inputs[signature]
        for name, value in sessions.position_inputs(tokens, self.position, self.slots).items():
            buffers[name].write(value)
        self._model.run_by_name(signature, buffers | self._cache, outputs | self._next_cache)
        self._cache, self._next_cache = self._next_cache, self._cache
