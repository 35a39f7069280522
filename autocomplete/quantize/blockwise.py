"""Scales of int4 blocks that every runtime takes: XNNPACK refuses a file with one that float16 rounds to nothing."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.arrays import Array

# The smallest normal number of float16 (IEEE 754). XNNPACK refuses "unsupported scale value (0.000000)" below it.
LEAST_SCALE = np.float16(np.finfo(np.float16).smallest_normal)


def with_loadable_scales(model: schema.ModelT) -> schema.ModelT:
    """The model with no scale of a block below `LEAST_SCALE`, in place; its numbers are rounded to the new scale."""
    done: set[int] = set()
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            details = tensor.quantization.details if tensor.quantization else None
            if isinstance(details, schema.BlockwiseQuantizationT) and tensor.buffer not in done:
                done.add(tensor.buffer)
                _clamp(model, tensor, subgraph.tensors[details.scales], details.blockSize)
    return model


def _clamp(model: schema.ModelT, tensor: schema.TensorT, scales: schema.TensorT, size: int) -> None:
    """Raises the scales of one tensor that are too small, and divides its numbers accordingly."""
    given = np.frombuffer(bytes(model.buffers[scales.buffer].data), np.float16)
    small = np.abs(given) < LEAST_SCALE
    if not small.any():
        return
    numbers = _unpacked(np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.uint8)).reshape(-1, size)
    rounded = np.rint(numbers[small] * (given[small].astype(np.float32) / np.float32(LEAST_SCALE))[:, None])
    numbers[small] = rounded.astype(np.int8)
    model.buffers[tensor.buffer].data = _packed(numbers.reshape(-1))
    model.buffers[scales.buffer].data = np.where(small, LEAST_SCALE, given).astype(np.float16).view(np.uint8)


def _unpacked(pairs: Array) -> Array:
    """int4 numbers, two in a byte, the first in its lower half, as int8."""
    halves = np.stack([pairs & 0x0F, pairs >> 4], axis=-1).reshape(-1).astype(np.int8)
    return np.where(halves > 7, halves - 16, halves).astype(np.int8)


def _packed(numbers: Array) -> Array:
    halves = (numbers.astype(np.int16) & 0x0F).astype(np.uint8).reshape(-1, 2)
    return np.asarray(halves[:, 0] | halves[:, 1] << 4, np.uint8)
