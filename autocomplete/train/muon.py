"""Muon for a transformer as KerasHub builds it: matrices that Keras keeps in three dimensions are matrices too.

Jordan et al. 2024 (github.com/KellerJordan/Muon), scaled as in Liu et al. 2025 (arXiv:2502.16982), section 2.2, so
that one learning rate and one weight decay serve matrices (Muon) and everything else (AdamW).
"""

import math
from typing import Any

import keras


class Muon(keras.optimizers.Muon):  # type: ignore[misc]
    """Keras' optimizer, which takes attention's biases, `[heads, size]`, for matrices and its kernels for none."""

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) < 2 or "embedding" in variable.path or "bias" in variable.path

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """The nearest matrix with singular values near one, in the shape of `x`."""
        orthogonal = super().zeropower_via_newtonschulz5(keras.ops.reshape(x, _matrix(x.shape)), steps)
        return keras.ops.reshape(orthogonal, x.shape)

    def lr_adjust(self, x: Any) -> Any:
        """An update scaled to the size that AdamW's have."""
        return x * math.sqrt(max(_matrix(x.shape))) * self.rms_rate


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """The two dimensions of a kernel, those that belong together multiplied: the split that is nearest to a square."""
    splits = [(math.prod(shape[:i]), math.prod(shape[i:])) for i in range(1, len(shape))]
    return min(splits, key=lambda s: abs(s[0] - s[1]))
