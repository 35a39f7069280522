"""Quantizes a core by a recipe of litert-quantizer."""

import contextlib
import copy
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from litert_quantizer import qtyping, quantizer
from threadpoolctl import threadpool_limits

from autocomplete.common.artifacts import Recipe
from autocomplete.common.errors import UserError
from autocomplete.quantize import blockwise, calibration
from autocomplete.quantize.calibration import Statistics
from autocomplete.tflite import edit, flatbuffer


def quantize(path: Path, recipe: Recipe, statistics: Statistics | None = None) -> schema.ModelT:
    """The model of a file, quantized, with each weight stored once; an empty recipe changes nothing.

    Args:
      path: a float32 core.
      recipe: entries in litert-quantizer's form.
      statistics: of its activations, if the recipe needs them (`calibrate`).

    Raises:
      UserError: if the file is damaged, or the quantizer refuses the recipe.
    """
    original = flatbuffer.read(path)
    if not recipe:
        return original
    try:
        with quiet(), one_thread(), quick_comparison():
            work = quantizer.Quantizer(str(path))
            work.load_quantization_recipe(recipe)
            # GPTQ of litert-quantizer 0.11 damps the Hessians in place, so it gets a copy.
            content = bytes(work.quantize(copy.deepcopy(statistics)).quantized_model)
    except (ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise UserError(f"litert-quantizer refuses the recipe: {' '.join(str(error).split())}") from None
    quantized = blockwise.with_loadable_scales(flatbuffer.parse(content))
    return edit.share_buffers(_with_outputs_of(original, quantized))


def _with_outputs_of(original: schema.ModelT, quantized: schema.ModelT) -> schema.ModelT:
    """Gives subgraphs of the quantized model the outputs that their signatures name, in place.

    If a quantized operator also reads an output (a KV cache is read so), litert-quantizer 0.11 makes that operator's
    copy the output of the subgraph. The runtime then uses the memory of the real output for something else.
    """
    for signature in quantized.signatureDefs:
        index = signature.subgraphIndex
        if {int(e.tensorIndex) for e in signature.outputs} == {int(i) for i in quantized.subgraphs[index].outputs}:
            continue
        index_of_name = {edit.text(t.name): i for i, t in enumerate(quantized.subgraphs[index].tensors)}
        before = original.subgraphs[index]
        outputs = [index_of_name[edit.text(before.tensors[i].name)] for i in before.outputs]
        quantized.subgraphs[index].outputs = outputs
    return quantized


def needs_calibration(recipe: Recipe) -> bool:
    """Whether a recipe fixes scales of activations, or fits weights to them."""
    has_fixed_scales = any("activation_tensor_config" in entry.get("op_config", {}) for entry in recipe)
    return has_fixed_scales or any(entry.get("algorithm_key") in calibration.WEIGHT_FITTING for entry in recipe)


def calibrate(path: Path, recipe: Recipe, sequences: Sequence[Sequence[int]]) -> Statistics | None:
    """The statistics that a recipe needs, from token sequences; None if it needs none."""
    with quiet(), one_thread():
        return calibration.calibrate(path, recipe, sequences) if needs_calibration(recipe) else None


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Limits NumPy to one thread: threads split sums, so GPTQ's bytes would depend on the machine."""
    with threadpool_limits(limits=1):
        yield


@contextlib.contextmanager
def quick_comparison() -> Iterator[None]:
    """Makes NumPy compare the quantizer's float16 arrays.

    litert-quantizer 0.11 compares memoryviews, which Python 3.11 does number by number for float16: three minutes of
    three and a half at GPT-2 base's size.
    """
    compare = qtyping._compare_array_or_none

    def compare_quickly(one: Any, other: Any) -> bool:
        if all(isinstance(a, np.ndarray) and a.dtype == np.float16 for a in (one, other)):
            return np.array_equal(one, other)
        return bool(compare(one, other))

    qtyping._compare_array_or_none = compare_quickly
    try:
        yield
    finally:
        qtyping._compare_array_or_none = compare


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hides the quantizer's progress bars, and its warnings about buffers that are shared on purpose."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        previous = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(previous)
