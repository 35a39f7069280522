"""The type of a NumPy array; docstrings give its shape and, where it matters, its element type."""

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
