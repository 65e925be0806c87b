"""Long lists of Python numbers as arrays: as JSON they would take the place of all other values."""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_nn.storage.refusal import Unreadable

LONG = 1000  # a list of more numbers than this
KINDS: dict[str, tuple[tuple[type, ...], np.dtype[Any]]] = {
    "floats": ((float, np.float64), np.dtype(np.float64)),
    "ints": ((int, np.int64), np.dtype(np.int64)),
}


def numbers_as_array(values: list[Any]) -> tuple[str, np.ndarray[Any, Any]] | None:
    """The tag of a long list of floats, or of ints, and its array; None for all other lists."""
    if len(values) <= LONG:
        return None
    for tag, (kinds, dtype) in KINDS.items():
        if all(type(value) in kinds for value in values):
            try:
                return tag, np.array(values, dtype)
            except OverflowError:  # an int of more than 64 bits
                return None
    return None


def numbers_from_array(tag: str, array: np.ndarray[Any, Any]) -> list[Any]:
    """The list that such an array was made of; Unreadable for an array of another form."""
    dtype = KINDS[tag][1]
    if array.ndim != 1 or array.dtype != dtype:
        raise Unreadable(f"its values have {tag} that are no array of {dtype} with one axis")
    found: list[Any] = array.tolist()
    return found
