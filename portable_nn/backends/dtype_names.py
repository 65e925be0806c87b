"""The names of dtypes, which are the same in all libraries."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np


@functools.lru_cache(maxsize=256)
def dtype_name(dtype: Any) -> str:
    """The name, such as "float32", of a dtype of any library; a name or a NumPy type is accepted too."""
    try:
        return str(np.dtype(dtype).name)
    except TypeError:
        return str(dtype).rsplit(".", maxsplit=1)[-1]
