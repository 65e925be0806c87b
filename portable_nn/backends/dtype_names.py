"""The names of dtypes, which are the same in all libraries."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np


def dtype_name(dtype: Any) -> str:
    """The name, such as "float32", of a dtype of any library; a name or a NumPy type is accepted too."""
    if isinstance(dtype, np.dtype):
        return name_of(dtype)
    try:
        return str(np.dtype(dtype).name)
    except TypeError:
        return str(dtype).rsplit(".", maxsplit=1)[-1]


@functools.lru_cache(maxsize=64)
def name_of(dtype: np.dtype[Any]) -> str:
    """The name of one of NumPy's, which puts it together anew each time it is asked."""
    return dtype.name
