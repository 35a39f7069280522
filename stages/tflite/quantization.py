"""Quantizing a core by a recipe of ai-edge-quantizer."""

import contextlib
import io
import logging
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import quantizer

from stages.errors import UserError
from stages.tflite import flatbuffer, graph


def quantize(path: Path, recipe: list[dict[str, Any]]) -> schema.ModelT:
    """The model of a file, quantized, each weight stored once; an empty recipe leaves it as it is.

    Raises:
      UserError: where the quantizer refuses the recipe.
    """
    if not recipe:
        return flatbuffer.read(path)
    flatbuffer.read(path)  # a damaged file is refused here, in one line
    try:
        with _quiet():
            work = quantizer.Quantizer(str(path))
            work.load_quantization_recipe(recipe)
            content = bytes(work.quantize().quantized_model)
    except (ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise UserError(f"ai-edge-quantizer refuses the recipe: {' '.join(str(error).split())}") from None
    return graph.share_buffers(flatbuffer.parse(content))


@contextlib.contextmanager
def _quiet() -> Any:
    """Hides the quantizer's bars and its warnings about shared buffers, which are shared on purpose."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        previous = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(previous)
