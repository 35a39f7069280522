"""Statistics of a core's activations, for recipes whose scales are fixed before the model runs."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_quantizer import calibrator
from ai_edge_quantizer.utils import qsv_utils

from autocomplete.runtime import interpreters
from autocomplete.tflite import flatbuffer
from autocomplete.tflite.matmul_names import Product, products, restricted

Recipe = list[dict[str, Any]]
Statistics = dict[str, dict[str, Any]]  # by tensor, in ai-edge-quantizer's form
_MODE = calibrator.CalibrationMode.CALIBRATION_PRESERVE_ALL_TENSORS
FITTED = ("GPTQ", "OSCAR")  # algorithms that fit weights to what they are multiplied by
_DECODED = 4  # tokens at the end of each sequence that are read one by one


def calibrate(core: Path, recipe: Recipe, sequences: Iterable[Sequence[int]]) -> Statistics:
    """Statistics of the activations of every signature, from token sequences read by the float32 core.

    Each sequence, at most as long as the KV cache, goes through prefill in whole chunks (padding is not text) and its
    last tokens once more through decode, with the cache as it is then. decode tells only what prefill, which has no
    logits, leaves out.
    """
    observed = calibrator.Calibrator(str(core), num_threads=2, mode=_MODE, qsv_update_func=_merged)
    found = list(products(flatbuffer.read(core)))
    roles = {name: {p.role for p in found if p.signature == name} for name in observed.get_signature_list()}
    longest = max((n for n in roles if n.startswith("prefill_")), key=lambda n: int(n.removeprefix("prefill_")))
    session = interpreters.Session(_Observed(observed, recipe, roles["decode"] - roles[longest]))
    for sequence in sequences:
        session.reset()
        whole = len(sequence) // session.chunks[-1] * session.chunks[-1]
        session.prefill(np.array(sequence[:whole], np.int32), session.chunks[-1])
        session.position = whole - _DECODED
        for token in sequence[session.position : whole]:
            session.decode(int(token))
    return pooled(found, observed.get_model_qsvs(), [longest, "decode"])


class _Observed:
    """The calibrator's signatures, in the form of an interpreter; of decode, only some products are observed."""

    def __init__(self, observed: calibrator.Calibrator, recipe: Recipe, decoded: Collection[str]) -> None:
        self._observed = observed
        self._recipe = recipe
        self._of_decode = restricted(recipe, decoded)

    def get_signature_list(self) -> list[str]:
        return list(self._observed.get_signature_list())

    def get_signature_runner(self, name: str) -> calibrator.CalibrationSignatureRunner:
        recipe = self._of_decode if name == "decode" else self._recipe
        return calibrator.CalibrationSignatureRunner(self._observed, name, _MODE, recipe)


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Statistics of two calls: the range of both, and averages over samples (what OSCAR and GPTQ add).

    Averages are made in place: GPTQ's has as many numbers as its matrix has columns, squared.
    """
    merged: dict[str, Any] = qsv_utils.min_max_update(old, new)
    if "num_samples" in new:
        merged["num_samples"] = old["num_samples"] + new["num_samples"]
        share = np.float32(new["num_samples"] / merged["num_samples"])
        for key in {"hessian", "mu2"} & set(new):
            merged[key] = old[key]
            merged[key] *= 1 - share
            new[key] *= share
            merged[key] += new[key]
    return merged


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
