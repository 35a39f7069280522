"""Quantizing a core by a recipe of ai-edge-quantizer."""

import contextlib
import copy
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import qtyping, quantizer
from threadpoolctl import threadpool_limits

from autocomplete.common.errors import UserError
from autocomplete.quantize import blockwise, calibration
from autocomplete.quantize.calibration import Recipe, Statistics
from autocomplete.tflite import edit, flatbuffer


def quantize(path: Path, recipe: Recipe, statistics: Statistics | None = None) -> schema.ModelT:
    """The model of a file, quantized, each weight stored once; an empty recipe leaves it as it is.

    Args:
      path: a float32 core.
      recipe: entries in ai-edge-quantizer's form.
      statistics: of its activations, if the recipe asks for them (`calibrate`).

    Raises:
      UserError: where the quantizer refuses the recipe.
    """
    given = flatbuffer.read(path)  # a damaged file is refused here, in one line
    if not recipe:
        return given
    try:
        with quiet(), one_thread(), quick_comparison():
            work = quantizer.Quantizer(str(path))
            work.load_quantization_recipe(recipe)
            # a copy, as GPTQ of ai-edge-quantizer 0.10 damps the Hessians that it is given and does not undo it
            content = bytes(work.quantize(copy.deepcopy(statistics)).quantized_model)
    except (ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise UserError(f"ai-edge-quantizer refuses the recipe: {' '.join(str(error).split())}") from None
    made = blockwise.with_loadable_scales(flatbuffer.parse(content))
    return edit.share_buffers(_with_outputs_of(given, made))


def _with_outputs_of(given: schema.ModelT, made: schema.ModelT) -> schema.ModelT:
    """Gives subgraphs the outputs that their signatures name, in place.

    Where an output is also read by a quantized operator (a KV cache is), ai-edge-quantizer 0.10 makes that operator's
    copy an output of the subgraph instead: the runtime then uses the memory of the real one for something else.
    """
    for signature in made.signatureDefs:
        index = signature.subgraphIndex
        if {int(e.tensorIndex) for e in signature.outputs} == {int(i) for i in made.subgraphs[index].outputs}:
            continue
        place = {edit.text(t.name): i for i, t in enumerate(made.subgraphs[index].tensors)}
        before = given.subgraphs[index]
        made.subgraphs[index].outputs = [place[edit.text(before.tensors[i].name)] for i in before.outputs]
    return made


def needs_calibration(recipe: Recipe) -> bool:
    """Whether a recipe fixes scales of activations, or fits weights to them."""
    fixed = any("activation_tensor_config" in entry.get("op_config", {}) for entry in recipe)
    return fixed or any(entry.get("algorithm_key") in calibration.FITTED for entry in recipe)


def calibrate(path: Path, recipe: Recipe, sequences: Sequence[Sequence[int]]) -> Statistics | None:
    """The statistics that a recipe asks for, from token sequences; None where it asks for none."""
    with quiet(), one_thread():
        return calibration.calibrate(path, recipe, sequences) if needs_calibration(recipe) else None


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keeps NumPy to one thread: sums are split by threads and rounded so, and GPTQ's bytes would be the machine's."""
    with threadpool_limits(limits=1):
        yield


@contextlib.contextmanager
def quick_comparison() -> Iterator[None]:
    """Lets NumPy compare the quantizer's float16 arrays.

    ai-edge-quantizer 0.10 compares memoryviews, which Python 3.11 does number by number where they are float16: three
    minutes of three and a half at GPT-2 base's size.
    """
    compare = qtyping._compare_array_or_none

    def compared(one: Any, other: Any) -> bool:
        if all(isinstance(a, np.ndarray) and a.dtype == np.float16 for a in (one, other)):
            return np.array_equal(one, other)
        return bool(compare(one, other))

    qtyping._compare_array_or_none = compared
    try:
        yield
    finally:
        qtyping._compare_array_or_none = compare


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hides the quantizer's bars and its warnings about shared buffers, which are shared on purpose."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        previous = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(previous)
