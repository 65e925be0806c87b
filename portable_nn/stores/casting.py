"""Values that are read cast to the dtype that they are to have: never to other numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_nn.compiler.signatures import HostArray


def check_number_dtype(dtype: Any) -> np.dtype[Any]:
    """The dtype as NumPy's; TypeError unless it is one of floats, integers or booleans."""
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"`dtype` is {dtype!r}; accepted: one of NumPy's, such as 'float32'") from None
    if found.kind not in "fiub":
        raise TypeError(f"`dtype` is {dtype!r}; accepted: floats, integers or booleans")
    return found


def cast(array: HostArray, dtype: np.dtype[Any], where: str) -> HostArray:
    """The array in this dtype; ValueError where an integer or boolean would be another number."""
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore", invalid="ignore"):  # infinite ones are found where data is checked
        found: HostArray = array.astype(dtype)
    if dtype.kind in "iub" and not np.array_equal(found, array):
        raise ValueError(
            f"{where} have values that are no {dtype}; accepted: whole numbers in its range; choose "
            "another `dtype`"
        )
    return found
