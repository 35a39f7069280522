"""Statistics of a core's activations, for recipes that fix scales, or fit weights, before the model runs."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from litert_quantizer import calibrator
from litert_quantizer.utils import qsv_utils

from autocomplete.common.artifacts import Recipe
from autocomplete.runtime import sessions
from autocomplete.tflite import flatbuffer
from autocomplete.tflite.matmul_names import MatMul, matmuls, restrict_recipe

# What a tensor's values were, as the quantizer keeps it: min, max, num_samples, and what its algorithm adds.
TensorStatistics: TypeAlias = dict[str, Any]
Statistics = dict[str, TensorStatistics]  # by tensor
_MODE = calibrator.CalibrationMode.CALIBRATION_PRESERVE_ALL_TENSORS
WEIGHT_FITTING = ("GPTQ", "OSCAR")  # algorithms that fit weights to their inputs
_NUM_DECODED = 4  # tokens at the end of each sequence that are read one by one


def calibrate(core: Path, recipe: Recipe, sequences: Iterable[Sequence[int]]) -> Statistics:
    """Statistics of the activations of every signature, while the float32 core reads token sequences.

    Each sequence, at most as long as the KV cache, goes through prefill in whole chunks, as padding is no text. Its
    last tokens go through decode again, with the cache as it is then. Of decode only the products are observed that
    prefill, which has no logits, lacks.
    """
    observed = calibrator.Calibrator(str(core), num_threads=2, mode=_MODE, qsv_update_func=_merged)
    products = list(matmuls(flatbuffer.read(core)))
    roles = {name: {p.role for p in products if p.signature == name} for name in observed.get_signature_list()}
    longest = max((n for n in roles if n.startswith("prefill_")), key=lambda n: int(n.removeprefix("prefill_")))
    session = sessions.InterpreterSession(_ObservedInterpreter(observed, recipe, roles["decode"] - roles[longest]))
    for sequence in sequences:
        session.reset()
        length = len(sequence) // session.chunks[-1] * session.chunks[-1]
        session.prefill(np.array(sequence[:length], np.int32), session.chunks[-1])
        session.position = length - _NUM_DECODED
        for token in sequence[session.position : length]:
            session.decode(int(token))
    return shared_statistics(products, observed.get_model_qsvs(), [longest, "decode"])


class _ObservedInterpreter:
    """The calibrator's signatures with an interpreter's methods; of decode, only some products are observed."""

    def __init__(self, observed: calibrator.Calibrator, recipe: Recipe, decode_roles: Collection[str]) -> None:
        self._observed = observed
        self._recipe = recipe
        self._decode_recipe = restrict_recipe(recipe, decode_roles)

    def get_signature_list(self) -> list[str]:
        return list(self._observed.get_signature_list())

    def get_signature_runner(self, name: str) -> calibrator.CalibrationSignatureRunner:
        recipe = self._decode_recipe if name == "decode" else self._recipe
        return calibrator.CalibrationSignatureRunner(self._observed, name, _MODE, recipe)


def _merged(old: TensorStatistics, new: TensorStatistics) -> TensorStatistics:
    """Statistics of two calls: the range of both, and averages over samples, which OSCAR and GPTQ add.

    It averages in place: GPTQ's average has as many numbers as its matrix has columns, squared.
    """
    merged: TensorStatistics = qsv_utils.min_max_update(old, new)
    if "num_samples" in new:
        merged["num_samples"] = old["num_samples"] + new["num_samples"]
        share = np.float32(new["num_samples"] / merged["num_samples"])
        for key in {"hessian", "mu2"} & set(new):
            merged[key] = old[key]
            merged[key] *= 1 - share
            new[key] *= share
            merged[key] += new[key]
    return merged


def shared_statistics(products: Sequence[MatMul], statistics: Statistics, sources: Sequence[str]) -> Statistics:
    """Statistics for the products of all signatures, from those of the sources, in order of preference.

    All signatures compute the same. Shared statistics make the models agree, and a weight that is fitted to its inputs
    is the same in every signature. Attention weights are probabilities: their range is 0 to 1, whatever was observed.
    """
    by_role: dict[tuple[str, int], TensorStatistics] = {}
    observed = (p for p in products if p.signature in sources)
    for product in sorted(observed, key=lambda p: sources.index(p.signature)):
        for index, name in enumerate(product.activations):
            if name in statistics:
                by_role.setdefault((product.role, index), statistics[name])
    for role, index in by_role:
        if role.endswith("_mix") and index == 0:
            by_role[role, index] = by_role[role, index] | {"min": np.zeros((1, 1)), "max": np.ones((1, 1))}
    shared: Statistics = {}
    for product in products:
        keys = {name: (product.unnumbered_role, index) for index, name in enumerate(product.activations)}
        shared |= {name: by_role[key] for name, key in keys.items() if key in by_role}
    return shared
