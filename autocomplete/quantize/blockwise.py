"""Scales of int4 blocks that every runtime loads: XNNPACK refuses a file with a scale that float16 rounds to zero."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from autocomplete.common.arrays import Array

# The smallest normal number of float16 (IEEE 754). XNNPACK refuses "unsupported scale value (0.000000)" below it.
LEAST_SCALE = np.float16(np.finfo(np.float16).smallest_normal)


def with_loadable_scales(model: schema.ModelT) -> schema.ModelT:
    """Raises scales of blocks to `LEAST_SCALE`, and rounds their numbers to it; changes the model in place."""
    seen: set[int] = set()
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            details = tensor.quantization.details if tensor.quantization else None
            if isinstance(details, schema.BlockwiseQuantizationT) and tensor.buffer not in seen:
                seen.add(tensor.buffer)
                _clamp_scales(model, tensor, subgraph.tensors[details.scales], details.blockSize)
    return model


def _clamp_scales(model: schema.ModelT, tensor: schema.TensorT, scale_tensor: schema.TensorT, block_size: int) -> None:
    """Raises the scales of one tensor that are too small, and divides its numbers accordingly."""
    scales = np.frombuffer(bytes(model.buffers[scale_tensor.buffer].data), np.float16)
    is_small = np.abs(scales) < LEAST_SCALE
    if not is_small.any():
        return
    blocks = _unpacked(np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.uint8)).reshape(-1, block_size)
    rounded = np.rint(blocks[is_small] * (scales[is_small].astype(np.float32) / np.float32(LEAST_SCALE))[:, None])
    blocks[is_small] = rounded.astype(np.int8)
    model.buffers[tensor.buffer].data = _packed(blocks.reshape(-1))
    model.buffers[scale_tensor.buffer].data = np.where(is_small, LEAST_SCALE, scales).astype(np.float16).view(np.uint8)


def _unpacked(pairs: Array) -> Array:
    """int4 numbers as int8; a byte holds two, the first in its lower half."""
    halves = np.stack([pairs & 0x0F, pairs >> 4], axis=-1).reshape(-1).astype(np.int8)
    return np.where(halves > 7, halves - 16, halves).astype(np.int8)


def _packed(numbers: Array) -> Array:
    halves = (numbers.astype(np.int16) & 0x0F).astype(np.uint8).reshape(-1, 2)
    return np.asarray(halves[:, 0] | halves[:, 1] << 4, np.uint8)
