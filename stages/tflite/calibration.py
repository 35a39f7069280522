"""Statistics of a core's activations, for recipes whose scales are fixed before the model runs."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_quantizer import calibrator
from ai_edge_quantizer.utils import qsv_utils

from stages.tflite import flatbuffer, runner
from stages.tflite.products import Product, products

Recipe = list[dict[str, Any]]
Statistics = dict[str, dict[str, Any]]  # by tensor, in ai-edge-quantizer's form
_MODE = calibrator.CalibrationMode.CALIBRATION_PRESERVE_ALL_TENSORS
FITTED = ("GPTQ", "OSCAR")  # algorithms that fit weights to what they are multiplied by
_DECODED = 4  # tokens at the end of each sequence that are read one by one


def calibrate(core: Path, recipe: Recipe, sequences: Iterable[Sequence[int]]) -> Statistics:
    """Statistics of the activations of every signature, from token sequences read by the float32 core.

    Each sequence, at most as long as the KV cache, goes through prefill and, its last tokens, through decode, with the
    cache as it is then.
    """
    fitted = any(entry["algorithm_key"] in FITTED for entry in recipe)  # these merge more than ranges
    update = {} if fitted else {"qsv_update_func": qsv_utils.min_max_update}
    observed = calibrator.Calibrator(str(core), num_threads=2, mode=_MODE, **update)
    session = runner.Session(_Observed(observed, recipe))
    for sequence in sequences:
        session.reset()
        session.prefill(np.array(sequence[:-_DECODED], np.int32), session.chunks[-1])
        for token in sequence[-_DECODED:]:
            session.decode(int(token))
    longest = f"prefill_{session.chunks[-1]}"
    return pooled(list(products(flatbuffer.read(core))), observed.get_model_qsvs(), [longest, "decode"])


class _Observed:
    """The calibrator's signatures, in the form of an interpreter."""

    def __init__(self, observed: calibrator.Calibrator, recipe: Recipe) -> None:
        self._observed, self._recipe = observed, recipe

    def get_signature_list(self) -> list[str]:
        return list(self._observed.get_signature_list())

    def get_signature_runner(self, name: str) -> calibrator.CalibrationSignatureRunner:
        return calibrator.CalibrationSignatureRunner(self._observed, name, _MODE, self._recipe)


def pooled(found: Sequence[Product], statistics: Statistics, sources: Sequence[str]) -> Statistics:
    """Statistics for the products of all signatures, from those of the sources, earlier ones first.

    All signatures compute the same. So flavours agree, and a weight that an algorithm fits to its inputs is the same
    in every signature. Attention's weights are probabilities: their range is 0 to 1, whatever was seen.
    """
    known: dict[tuple[str, int], dict[str, Any]] = {}
    for product in sorted((p for p in found if p.signature in sources), key=lambda p: sources.index(p.signature)):
        for place, name in enumerate(product.activations):
            if name in statistics:
                known.setdefault((product.role, place), statistics[name])
    for role, place in known:
        if role.endswith("_mix") and place == 0:
            known[role, place] = known[role, place] | {"min": np.zeros((1, 1)), "max": np.ones((1, 1))}
    everywhere: Statistics = {}
    for product in found:
        pairs = [(name, (product.whole, place)) for place, name in enumerate(product.activations)]
        everywhere |= {name: known[key] for name, key in pairs if key in known}
    return everywhere
