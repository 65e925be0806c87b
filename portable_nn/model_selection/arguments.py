"""Large arguments of calls, such as the rows of a search, which travel beside the calls.

joblib's backend for Dask looks at the arguments of a task, and sends a large one from worker to worker;
what is inside of an argument goes through the scheduler, with each task again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.sparse import issparse

LARGE = 2**20  # bytes, as where joblib begins to map arrays into the memory of other processes

Call = tuple[Callable[..., Any], Sequence[Any], dict[str, Any]]
Calls = Sequence[Call]  # those of one task of joblib's


@dataclass(frozen=True)
class Place:
    """Where a large argument was: its number among them."""

    number: int


def size_of(value: Any) -> int:
    """About how many bytes an array, a sparse one or a frame has."""
    if issparse(value):
        return int(value.nnz * value.dtype.itemsize)
    nbytes = getattr(value, "nbytes", None)
    return nbytes if isinstance(nbytes, int) else sys.getsizeof(value, 0)


def taken_out(tasks: Sequence[Calls]) -> tuple[list[Calls], list[Any]]:
    """The calls of each task, a `Place` in them for each large argument; and those, each once."""
    found: dict[int, Any] = {}  # by identity: a number, or the argument itself where it is small
    large: list[Any] = []

    def replaced(value: Any) -> Any:
        if id(value) not in found:
            found[id(value)] = value
            if size_of(value) >= LARGE:
                found[id(value)] = Place(len(large))
                large.append(value)
        return found[id(value)]

    return [with_arguments(calls, replaced) for calls in tasks], large


def put_back(tasks: Sequence[Calls], large: Sequence[Any]) -> list[Calls]:
    """The inverse of `taken_out`."""

    def original(value: Any) -> Any:
        return large[value.number] if isinstance(value, Place) else value

    return [with_arguments(calls, original) for calls in tasks]


def with_arguments(calls: Calls, change: Callable[[Any], Any]) -> Calls:
    """The same calls, each argument what `change` makes of it."""
    return [
        (function, [change(a) for a in args], {name: change(a) for name, a in kwargs.items()})
        for function, args, kwargs in calls
    ]
