"""The rows of a store, of which nothing is asked but its shape, its dtype and slices."""

from __future__ import annotations

import math
import operator
from typing import Any, Protocol

import numpy as np

from portable_nn.compiler.signatures import HostArray


class RowStore(Protocol):
    """What a store has: ``store[a:b]`` is rows a to b - 1, in a form that `numpy.asarray` accepts."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_samples, columns), or (n_samples,)."""

    @property
    def dtype(self) -> Any:
        """The dtype, as NumPy's or in a form that `numpy.dtype` accepts."""

    def __getitem__(self, rows: slice, /) -> Any:
        """Some neighbouring rows."""


def is_store(x: object) -> bool:
    """Whether `x` has what a store has."""
    shape = getattr(x, "shape", None)
    is_shaped = isinstance(shape, (tuple, list)) and len(shape) > 0
    return is_shaped and hasattr(x, "dtype") and hasattr(type(x), "__getitem__")


class StoredRows:
    """The rows of a store, which errors call `name`; a column (n, 1) of one that has one axis.

    Raises TypeError or ValueError for a store of no known size, or whose dtype NumPy lacks.
    """

    def __init__(self, name: str, store: RowStore, is_column: bool = False) -> None:
        self.name, self.store = name, store
        self.dtype, shape = dtype_of(name, store), shape_of(name, store)
        self.width = shape[1:]  # of what is read
        self.shape = (*shape, 1) if is_column else shape

    @property
    def nbytes(self) -> int:
        """The bytes of all rows in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def chunk(self) -> int | None:
        """How many rows a chunk of the store has, where it says so."""
        return chunk_of(self.store)

    def as_column(self) -> StoredRows:
        """The rows of a store with one axis as (n, 1)."""
        return StoredRows(self.name, self.store, is_column=True)

    def read(self, start: int, stop: int) -> HostArray:
        """Rows `start` to ``stop - 1``, or to the last one; ValueError for what is no such rows."""
        stop = min(stop, self.shape[0])
        given = self.store[start:stop]
        where = f"`{self.name}` gave, for its rows {start} to {stop - 1},"
        if isinstance(given, np.ma.MaskedArray):
            if np.ma.is_masked(given):
                raise ValueError(f"{where} masked values; accepted: none; fill them in")
            given = given.data
        array = np.asarray(given)
        expected = (stop - start, *self.width)
        if array.shape != expected or native(array.dtype) != native(self.dtype):
            raise ValueError(
                f"{where} an array of shape {array.shape} and dtype {array.dtype}; accepted: "
                f"{expected} and {self.dtype}, as its own `shape` and `dtype` say"
            )
        return array.astype(self.dtype, copy=False).reshape(stop - start, *self.shape[1:])

    def whole(self, most: int) -> HostArray:
        """All rows, read in slices of at most so many bytes, but at least of a row."""
        found = np.empty(self.shape, self.dtype)
        n = self.shape[0]
        size = max(1, most // max(1, self.nbytes // n))
        for start in range(0, n, size):
            found[start : start + size] = self.read(start, start + size)
        return found


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in this machine's byte order."""
    found: np.dtype[Any] = dtype.newbyteorder("=")
    return found


def dtype_of(name: str, store: RowStore) -> np.dtype[Any]:
    """The dtype of a store as NumPy's; TypeError where NumPy has none such."""
    try:
        found: np.dtype[Any] = np.dtype(store.dtype)
    except TypeError:
        raise TypeError(
            f"`{name}` has dtype {store.dtype!r}; accepted: a store with a dtype of NumPy"
        ) from None
    return found


def shape_of(name: str, store: RowStore) -> tuple[int, ...]:
    """The shape of a store as integers; ValueError where it is unknown, or not of rows."""
    try:
        shape = tuple(map(operator.index, store.shape))
    except TypeError:
        raise ValueError(
            f"`{name}` is a store of shape {tuple(store.shape)}; accepted: a known number of rows; an "
            "array of dask learns it by compute_chunk_sizes()"
        ) from None
    if len(shape) > 2:
        raise ValueError(
            f"`{name}` is a store of shape {shape}; accepted: rows, (n_samples, columns) or "
            "(n_samples,), which the networks of a stack share"
        )
    return shape


def chunk_of(store: Any) -> int | None:
    """How many rows are stored together, by the attribute `chunks` that some stores have; else None.

    It is a hint, which no result depends on: the first entry is a number or, where lengths differ, has
    some of them.
    """
    chunks = getattr(store, "chunks", None)
    try:
        rows = chunks[0]  # type: ignore[index]
        return max(1, operator.index(max(rows) if isinstance(rows, tuple) else rows))
    except (TypeError, IndexError, ValueError):
        return None
