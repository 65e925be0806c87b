"""Nested lists and tuples of arrays, taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

Skeleton = Any
ARRAY = "an array"


def take_apart(x: Any, leaves: list[Any]) -> Skeleton:
    """The form of `x`, hashable; its arrays are appended to `leaves`, the rest stays in the form."""
    if isinstance(x, (list, tuple)):
        return (type(x) is list, *(take_apart(y, leaves) for y in x))
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        leaves.append(x)
        return ARRAY
    return ("as it is", type(x), x)


def put_together(skeleton: Skeleton, leaves: Iterator[Any]) -> Any:
    """What had this form, with other leaves."""
    if skeleton is ARRAY:
        return next(leaves)
    first, *rest = skeleton
    if first == "as it is":
        return rest[-1]
    parts = (put_together(part, leaves) for part in rest)
    return list(parts) if first else tuple(parts)


def is_plain(x: Any) -> bool:
    """Whether `x` is an array of NumPy itself, on which its functions do what they always do."""
    return type(x) in (np.ndarray, np.memmap) or isinstance(x, np.generic)


def signature(skeleton: Skeleton, leaves: Sequence[Any]) -> Any:
    """What a program depends on: the form, and each array's shape and dtype."""
    return skeleton, tuple((leaf.shape, leaf.dtype.str) for leaf in leaves)


def item(each: Any, i: int) -> Any:
    """Number i of the first axis of every array in nested lists and tuples."""
    if isinstance(each, (list, tuple)):
        return type(each)(item(part, i) for part in each)
    return None if each is None else each[i, ...]


def length(each: Any) -> int:
    """How long the first axis of the arrays in nested lists and tuples is; None counts for nothing."""
    if isinstance(each, (list, tuple)):
        return max(map(length, each), default=0)
    return 0 if each is None else int(each.shape[0])


def mapped(function: Callable[[Any], Any], x: Any) -> Any:
    """The same form, each array replaced by ``function(array)``."""
    leaves: list[Any] = []
    skeleton = take_apart(x, leaves)
    return put_together(skeleton, iter([function(leaf) for leaf in leaves]))
