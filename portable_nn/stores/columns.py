"""Some columns of a store, so that inputs and targets may come from one."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from portable_nn.compiler.signatures import HostArray
from portable_nn.stores.casting import cast, check_number_dtype
from portable_nn.stores.stored_rows import RowStore, is_store, shape_of


class Columns:
    """Columns of a store, as ``store[:, columns]`` has them in NumPy; what is read is cast to `dtype`.

    It is a store itself: it has `shape`, `dtype` and slices of rows, and copies nothing.

    Parameters
    ----------
    store : array or store
        What has `shape`, `dtype` and slices of rows: (n_samples, columns), or (n_samples,) where all of
        it is taken.
    columns : int, slice or list of int, optional
        An integer gives rows (n_samples,), as the indices of classes come; the others (n_samples, k).
        None: all columns.
    dtype : optional
        By default that of the store. Numbers that are cast to integers have to be whole: others raise
        ValueError when they are read.

    Raises
    ------
    TypeError, ValueError, IndexError
        For what is no store, and for columns that it does not have.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> table = np.array([[0.5, 1.5, 0.0], [2.5, 3.5, 1.0]])  # or h5py.File("table.h5")["rows"]
    >>> X, Y = pnn.Columns(table, slice(0, 2)), pnn.Columns(table, -1, dtype="int64")
    >>> X.shape, Y[:]
    ((2, 2), array([0, 1]))

    ``pnn.fit(net, params, X, Y, stream=True)`` learns from them.
    """

    def __init__(
        self, store: RowStore, columns: int | slice | Sequence[int] | None = None, dtype: Any = None
    ) -> None:
        if not is_store(store):
            raise TypeError(
                f"`store` is {type(store)}; accepted: what has `shape`, `dtype` and slices of rows, "
                "such as arrays of NumPy, zarr, h5py and dask"
            )
        self.store = store
        shape = shape_of("store", store)
        self.columns = None if columns is None else checked_columns(columns, shape)
        self.dtype = np.dtype(store.dtype) if dtype is None else check_number_dtype(dtype)
        left: tuple[int, ...] = shape[1:]
        if isinstance(self.columns, slice):
            left = (len(range(shape[1])[self.columns]),)
        elif self.columns is not None:
            left = () if isinstance(self.columns, int) else (len(self.columns),)
        self.shape = (shape[0], *left)

    @property
    def chunks(self) -> Any:
        """Those of the store."""
        return getattr(self.store, "chunks", None)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> HostArray:
        """All rows, in memory."""
        return np.asarray(self[:], dtype)

    def __getitem__(self, rows: slice) -> HostArray:
        """These rows of the columns.

        Raises
        ------
        TypeError
            For what is no slice, as a store may have nothing else.
        """
        if not isinstance(rows, slice):
            raise TypeError(f"rows {rows!r} were asked for; accepted: a slice, such as [10:20]")
        given = np.asanyarray(self.store[rows])
        picked = given if self.columns is None else given[:, self.columns]
        start, stop, _ = rows.indices(self.shape[0])
        what = "all columns" if self.columns is None else f"columns {self.columns}"
        return cast(picked, self.dtype, f"rows {start} to {stop - 1} of {what} of the store")

    def __repr__(self) -> str:
        return f"<Columns {self.columns} of {type(self.store).__name__}, {self.shape}, {self.dtype}>"


def checked_columns(columns: Any, shape: tuple[int, ...]) -> int | slice | list[int]:
    """The columns, if a store of this shape has them."""
    if len(shape) != 2:
        raise ValueError(
            f"`store` has shape {shape}; accepted where `columns` are chosen: (n_samples, columns)"
        )
    if isinstance(columns, slice):
        return columns
    accepted = "an integer, a slice or a list of integers; of a mask: numpy.flatnonzero(mask)"
    try:
        if isinstance(columns, (bool, str)) or has_booleans(columns):
            raise TypeError
        is_one = hasattr(columns, "__index__") and not getattr(columns, "shape", ())
        each = list(map(operator.index, [columns] if is_one else columns))
    except TypeError:
        raise TypeError(f"`columns` is {columns!r}; accepted: {accepted}") from None
    for column in each:
        if not -shape[1] <= column < shape[1]:
            raise IndexError(f"`columns` has {column}; accepted: 0 to {shape[1] - 1}, or from the end")
    return each[0] if is_one else each


def has_booleans(columns: Any) -> bool:
    """Whether there are some among the columns: NumPy takes them for a mask, and Python for 0 and 1."""
    return isinstance(columns, Iterable) and any(isinstance(x, (bool, np.bool)) for x in columns)
