"""The names of dtypes, which are the same in all libraries."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np


def dtype_name(dtype: Any) -> str:
    """The name, such as "float32", of a dtype of any library.

    Parameters
    ----------
    dtype : dtype
        Of any library; a name or a NumPy type is accepted too.

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> pnn.backends.dtype_name(np.float32), pnn.backends.dtype_name(np.asarray([1.0]).dtype)
    ('float32', 'float64')
    """
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
