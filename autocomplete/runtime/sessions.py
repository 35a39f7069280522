"""Decode sessions: one sequence through the signatures of a core, with its KV cache.

Shapes: T tokens read, S slots of the KV cache, P slots of `past`, R slots of `recent`, V vocabulary.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from autocomplete.common.arrays import Array

# What LiteRT-LM adds to the scores of slots that a token must not see.
_MASKED = np.float32(-0.7 * np.finfo(np.float32).max)

_PAST, _RECENT = ("past_k_", "past_v_"), ("recent_k_", "recent_v_")  # prefixes of the tensors of a cache in two parts
Arrays = dict[str, Array]


class DecodeSession(Protocol):
    """One sequence that a core reads."""

    @property
    def chunks(self) -> list[int]:
        """The lengths of the prefill signatures, in ascending order."""
        ...

    def reset(self) -> None:
        """Begins a new sequence."""
        ...

    def prefill(self, tokens: Array, chunk: int) -> None:
        """Reads tokens `[n]` in chunks of one length, the last one padded."""
        ...

    def decode(self, token: int) -> Array:
        """Reads one token; returns the logits of the next one, `[V]`."""
        ...


def prefill_lengths(signatures: Iterable[str]) -> list[int]:
    """The lengths of a core's prefill signatures, in ascending order."""
    return sorted(int(n.removeprefix("prefill_")) for n in signatures if n.startswith("prefill_"))


def padded_chunks(tokens: Array, chunk: int) -> Iterator[tuple[int, Array]]:
    """Tokens `[n]` in chunks of equal length, the last one padded; with each, how many of its tokens count."""
    for first in range(0, len(tokens), chunk):
        part = tokens[first : first + chunk]
        values = np.zeros(chunk, np.int32)
        values[: len(part)] = part
        yield len(part), values


def position_inputs(tokens: Array, position: int, slots: int) -> Arrays:
    """The inputs of a signature without the KV cache, as LiteRT-LM fills them.

    Args:
      tokens: `[T]`.
      position: of the first of them.
      slots: S.
    """
    positions = np.arange(position, position + len(tokens), dtype=np.int32)
    mask = np.where(np.arange(slots) <= positions[:, None], np.float32(0), _MASKED)[None, None]
    return {"tokens": tokens[None], "input_pos": positions, "mask": mask}


class InterpreterSession:
    """A session over the signatures `prefill_<n>` and `decode` of an Interpreter."""

    def __init__(self, interpreter: Any) -> None:
        self._signatures = interpreter.get_signature_list()
        self._runners = {n: interpreter.get_signature_runner(n) for n in self._signatures}
        details = self._runners["decode"].get_input_details()
        self._cache: Arrays = {n: np.zeros(d["shape"], d["dtype"]) for n, d in details.items() if "kv_cache" in n}
        self.slots = int(details["mask"]["shape"][-1])
        self.position = 0

    @property
    def chunks(self) -> list[int]:
        """The lengths of the prefill signatures, in ascending order."""
        return prefill_lengths(self._signatures)

    def reset(self) -> None:
        """Begins a new sequence; old slots stay masked until they are written again."""
        self.position = 0

    def prefill(self, tokens: Array, chunk: int) -> None:
        """Reads tokens `[n]` in chunks of one signature, the last one padded."""
        for count, values in padded_chunks(tokens, chunk):
            self._call(f"prefill_{chunk}", values)
            self.position += count

    def decode(self, token: int) -> Array:
        """Reads one token; returns the logits of the next one, `[V]`."""
        outputs = self._call("decode", np.array([token], np.int32))
        self.position += 1
        logits: Array = outputs["logits"][0, 0]
        return logits

    def inputs(self, tokens: Array) -> Arrays:
        """The inputs of a signature that reads the next tokens `[T]`."""
        return position_inputs(tokens, self.position, self.slots) | self._cache

    def _call(self, signature: str, tokens: Array) -> Arrays:
        outputs: Arrays = self._runners[signature](**self.inputs(tokens))
        self._cache = {n: outputs[n] for n in self._cache}
        return outputs


class StepSession:
    """A session over the signatures `step_<n>` of static shape, which the drivers of text and bytes call.

    It calls them in the order of fixed_loop.py. Another order adds up in another order: results are rounded otherwise,
    and quantized activations show that.
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
        """P and R when one token is read."""
        return self._details[1]["past_mask"]["shape"][3], self._details[1]["slots"]["shape"][2]

    def reset(self) -> None:
        """Begins a new sequence."""
        details = self._details[1]
        self.position = self._start = 0
        self._past = {n: np.zeros(d["shape"], d["dtype"]) for n, d in details.items() if n.startswith(_PAST)}
        self._recent = self._empty_recent(1)

    def prefill(self, tokens: Array, chunk: int) -> None:
        """Reads tokens `[n]` in chunks, the last one padded; as in the loop, decodes the end of a long prompt."""
        past, recent = self._slots
        in_chunks = tokens[: past - recent]
        for first in (min(f, past - chunk) for f in range(0, len(in_chunks), chunk)):
            padded = np.resize(in_chunks[first : first + chunk], chunk)
            self._start = first
            self._recent = self._empty_recent(chunk)
            self._call(padded, first)
            self._update_past()
        self.position = self._start = len(in_chunks)
        self._recent = self._empty_recent(1)
        for token in tokens[len(in_chunks) :]:
            self.decode(token)

    def decode(self, token: int) -> Array:
        """Reads one token; returns the logits of the next one, `[V]`."""
        past, recent = self._slots
        if self.position - self._start == (past - self._start - 1) % recent + 1:
            self._update_past()
            self._start = self.position
            self._recent = self._empty_recent(1)
        logits: Array = self._call(np.array([token], np.int32), self.position)
        self.position += 1
        return logits

    def _empty_recent(self, tokens: int) -> Arrays:
        details = self._details[tokens]
        return {n: np.zeros(d["shape"], d["dtype"]) for n, d in details.items() if n.startswith(_RECENT)}

    def _update_past(self) -> None:
        """Copies `recent` into `past`."""
        for name, recent in self._recent.items():
            axis = 3 if name.startswith("recent_k") else 2  # keys are transposed
            past = np.moveaxis(self._past[name.replace("recent", "past")], axis, 0)
            past[self._start : self._start + recent.shape[axis]] = np.moveaxis(recent, axis, 0)

    def _call(self, tokens: Array, first: int) -> Array:
        details = self._details[len(tokens)]
        positions = np.arange(first, first + len(tokens), dtype=np.int32)
        slots = self._start + np.arange(details["slots"]["shape"][2])
        is_visible = slots <= positions[:, None]
        is_past = np.arange(details["past_mask"]["shape"][3]) < self._start
        slot_positions = {"recent_pos": slots, "past_pos": np.arange(len(is_past))}  # for sliding windows
        outputs = self._runners[len(tokens)](
            tokens=tokens[None],
            input_pos=positions,
            last=np.array([len(tokens) - 1], np.int32),
            recent_mask=np.where(is_visible, np.float32(0), _MASKED)[None, None],
            past_mask=np.where(is_past, np.float32(0), _MASKED)[None, None, None],
            slots=((slots == first) | (len(tokens) > 1)).astype(np.float32)[None, None, :, None],
            **{n: v.astype(np.int32) for n, v in slot_positions.items() if n in details},
            **self._recent,
            **self._past,
        )
        self._recent = {n: outputs[n] for n in self._recent}
        logits: Array = outputs["logits"][0, 0]
        return logits
