"""The type of a NumPy array whose shape and element type the docstring tells."""

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
