"""The pipeline's models of the toy: drivers, quantized cores, the files that validate measures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autocomplete.common.native_log import quiet
from helpers import records
from helpers.modes import settings
from helpers.toys import CHUNK, PROMPT_BYTES, SEQUENCE, SLOTS, TEXT, WINDOW, Toy


def steps(sequence: int = SEQUENCE) -> Any:
    """The variants of `step` that the drivers of the toy call."""
    from autocomplete.graph import fixed_loop, growing_loop, loop_plan

    lengths = loop_plan.LoopLengths(sequence, CHUNK, 4, draft_tokens=8)
    return fixed_loop.step_shapes(lengths) | growing_loop.step_shapes(lengths)


def driver(
    toy: Toy,
    name: str = "greedy",
    seed: int | None = None,
    sequence: int = SEQUENCE,
    window: int = WINDOW,
    suppressed: Sequence[int] = (),
) -> Any:
    """A text driver for the toy."""
    from autocomplete.graph import loop_plan, text_driver
    from autocomplete.graph.sampler import Sampler

    limits = text_driver.TextLimits(loop_plan.LoopLengths(sequence, CHUNK, 4), window, 788)
    sampler = Sampler(name, 5, 0.9, 1.0, seed, suppressed)
    with quiet():
        return text_driver.convert(toy.vocabulary, toy.weights.config, limits, sampler)


def bytes_driver_of(toy: Toy, suppressed: Sequence[int] = ()) -> Any:
    """A bytes driver for the toy."""
    from autocomplete.graph import bytes_driver, loop_plan

    limits = bytes_driver.BytesLimits(loop_plan.LoopLengths(SEQUENCE, CHUNK, 4), WINDOW, PROMPT_BYTES)
    with quiet():
        return bytes_driver.convert(toy.vocabulary, toy.weights.config, limits, suppressed)


def quantized(toy: Toy, core: Path, mode: str, text: bool = False) -> Any:
    """The toy's core in a mode, or the core inside its text model, calibrated where the mode needs it."""
    from autocomplete.data import evaluation_text as documents
    from autocomplete.quantize import recipes

    mode_settings = settings(mode)
    recipe = (text and mode_settings.get("text_recipe")) or mode_settings["recipe"]
    windows = documents.windows(TEXT, toy.bpe, documents.BoundaryTokens(None, toy.vocabulary.end_token_id), SLOTS, 4)
    return recipes.quantize(core, recipe, recipes.calibrate(core, recipe, windows.tolist()))


def mode_files_of(toy: Toy, core_path: Path) -> Any:
    """The toy as validate measures it, with only its float32 core."""
    from autocomplete.evaluate.mode_files import ModeFiles

    model, conversion = records.model(), records.conversion(sequence_length=SEQUENCE)
    return ModeFiles(
        toy.preset, core_path.parent, toy.bpe, model, conversion, 1, shipped=core_path.parent, text_core=core_path
    )
