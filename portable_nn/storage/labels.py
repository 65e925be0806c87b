"""Arrays of strings, or of Python objects that are plain values, as JSON."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from portable_nn.storage.refusal import MOST_LABEL_BYTES, Unreadable

LABELS = re.compile(r"O|[SU][1-9][0-9]{0,6}")  # objects; bytes or characters, and how many
PLAIN = (type(None), bool, int, float, str)


def are_labels(array: np.ndarray[Any, Any]) -> bool:
    """Whether the array holds strings, or Python objects."""
    return array.dtype.kind in "SUO"


def dtype_of_labels(array: np.ndarray[Any, Any]) -> str:
    """The dtype in the file, without the byte order."""
    return array.dtype.str[1:] if array.dtype.kind != "O" else "O"


def items(array: np.ndarray[Any, Any]) -> list[Any]:
    """The labels in a list; bytes as characters of the same numbers."""
    values = array.reshape(-1).tolist()
    return [value.decode("latin-1") for value in values] if array.dtype.kind == "S" else values


def width(array: np.ndarray[Any, Any]) -> int:
    """Bytes in memory of strings, which may be wider than they are as text."""
    return 0 if array.dtype.kind == "O" else max(array.nbytes, array.itemsize)


def make_labels(given: Any, left: int) -> np.ndarray[Any, Any]:
    """The array that is described; Unreadable for what is no such array, or takes over `left` bytes."""
    if not isinstance(given, dict) or given.keys() != {"dtype", "shape", "values"}:
        raise Unreadable("it describes no array of labels")
    dtype, shape, values = given["dtype"], given["shape"], given["values"]
    is_right = (
        isinstance(dtype, str)
        and LABELS.fullmatch(dtype) is not None
        and isinstance(values, list)
        and isinstance(shape, list)
        and all(type(n) is int and 0 <= n <= MOST_LABEL_BYTES for n in shape)
        and len(shape) <= 32
        and math.prod(shape) == len(values)
        and all(type(value) in (PLAIN if dtype == "O" else (str,)) for value in values)
    )
    if not is_right:
        raise Unreadable("it describes an array of labels that cannot be")
    found = np.empty(len(values), object)
    found[:] = values
    if dtype != "O":
        characters = int(dtype[1:])
        if max(len(values), 1) * np.dtype(dtype).itemsize > left or any(
            len(v) > characters for v in values
        ):
            raise Unreadable("it describes an array of labels of another width")
        try:
            found = np.asarray(
                [v.encode("latin-1") for v in values] if dtype[0] == "S" else values, dtype
            )
        except ValueError:
            raise Unreadable("it describes labels of bytes that are none") from None
    return found.reshape(shape)
