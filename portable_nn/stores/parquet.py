"""Rows of Parquet files, read by pyarrow one row group at a time."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from portable_nn.compiler.signatures import HostArray
from portable_nn.stores.casting import cast, check_number_dtype

Path: TypeAlias = str | os.PathLike[str]


class Group(NamedTuple):
    """A row group: the place of its file and its own in that, and its rows among those of all files."""

    file: int
    number: int
    start: int
    stop: int


class ParquetRows:
    """Columns of a Parquet file as rows of numbers, which `fit` reads with ``stream=True``.

    It has `shape`, `dtype` and slices of rows. A row group is the least that can be read, and the last
    one that was read stays in memory: write files with row groups of a few MB. Needs pyarrow.

    Parameters
    ----------
    path : str or path, or a list of them
        Several files follow one another.
    columns : str or list of str, optional
        The name of one column gives rows (n_samples,), as the indices of classes come; a list of names
        (n_samples, k). None: all columns.
    dtype : optional
        What values are cast to; by default one that all of the columns fit in. Numbers that are cast to
        integers have to be whole.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    TypeError, ValueError
        For a column that the file does not have, or that is not of numbers or booleans. Values that are
        missing, in a column of integers or booleans, raise ValueError when they are read; in one of
        floats they are NaN.

    Examples
    --------
    >>> import pyarrow
    >>> from pyarrow import parquet
    >>> import portable_nn as pnn
    >>> table = {"age": [30, 40, 50], "income": [1.5, 2.0, 1.0], "label": [0, 1, 1]}
    >>> parquet.write_table(pyarrow.table(table), "train.parquet")
    >>> X = pnn.ParquetRows("train.parquet", ["age", "income"], dtype="float32")
    >>> Y = pnn.ParquetRows("train.parquet", "label")
    >>> X.shape, Y.shape, X[:2].tolist()
    ((3, 2), (3,), [[30.0, 1.5], [40.0, 2.0]])

    ``pnn.fit(net, params, X, Y, stream=True)`` learns from them.
    """

    def __init__(
        self,
        path: Path | Sequence[Path],
        columns: str | Sequence[str] | None = None,
        dtype: Any = None,
    ) -> None:
        self.paths = checked_paths(path)
        parquet = parquet_module()
        self.metadata = [parquet.read_metadata(one) for one in self.paths]
        schemas = [each.schema.to_arrow_schema() for each in self.metadata]
        wanted = schemas[0].names if columns is None else columns
        self.names = checked_names(wanted)
        types = [
            type_of(schema, name, one)
            for schema, one in zip(schemas, self.paths, strict=True)
            for name in self.names
        ]
        self.dtype = np.result_type(*types) if dtype is None else check_number_dtype(dtype)
        self.groups: list[Group] = []
        n = 0
        for k, each in enumerate(self.metadata):
            for number in range(each.num_row_groups):
                rows = each.row_group(number).num_rows
                self.groups.append(Group(k, number, n, n + rows))
                n += rows
        self.shape = (n,) if isinstance(columns, str) else (n, len(self.names))
        self.last: tuple[Group, HostArray] | None = None

    @property
    def chunks(self) -> tuple[int, ...]:
        """The rows of the largest row group, and of its columns all."""
        return (max([1, *(group.stop - group.start for group in self.groups)]), *self.shape[1:])

    def __getitem__(self, rows: slice) -> HostArray:
        """These rows, in an array of their own; the step of a slice has to be 1."""
        start, stop, step = rows.indices(self.shape[0])
        if step != 1:
            raise IndexError(f"the step of a slice of rows is {step}; accepted: 1")
        found = np.empty((max(0, stop - start), len(self.names)), self.dtype)
        for group in self.groups:
            first, last = max(start, group.start), min(stop, group.stop)
            if first < last:
                array = self.read(group)
                found[first - start : last - start] = array[first - group.start : last - group.start]
        return found.reshape(-1, *self.shape[1:])

    def read(self, group: Group) -> HostArray:
        """The rows of a row group.

        Parameters
        ----------
        group : Group
            One of ``self.groups``: its file, its number there, and its rows.

        Returns
        -------
        array (rows, columns)
            Of the dtype `dtype`, on the host; the last one is kept.

        Raises
        ------
        ValueError
            If a value is missing in a column of integers or booleans.
        """
        if self.last is not None and self.last[0] == group:
            return self.last[1]
        self.last = None  # before the memory of the next one is needed
        path, metadata = self.paths[group.file], self.metadata[group.file]
        with parquet_module().ParquetFile(path, metadata=metadata) as file:
            table = file.read_row_group(group.number, columns=self.names)
        found = np.empty((group.stop - group.start, len(self.names)), self.dtype)
        for j, name in enumerate(self.names):
            column = table.column(name)
            where = f"rows {group.start} to {group.stop - 1} of the column {name!r} of {path!r}"
            if column.null_count and self.dtype.kind in "iub":
                raise ValueError(
                    f"{where} have missing values, which {self.dtype} does not hold; accepted: none; "
                    "drop or impute them"
                )
            found[:, j] = cast(column.to_numpy(), self.dtype, where)
        self.last = group, found
        return found

    def __repr__(self) -> str:
        return f"<ParquetRows {self.names} of {', '.join(self.paths)}, {self.shape}, {self.dtype}>"


def parquet_module() -> Any:
    """pyarrow.parquet; ImportError that says how to get it."""
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ImportError(f"ParquetRows needs pyarrow ({error}): pip install pyarrow") from error


def checked_paths(path: Any) -> list[str]:
    """The paths as a list of strings."""
    given = [path] if isinstance(path, (str, os.PathLike)) else path
    are_paths = isinstance(given, (list, tuple)) and all(
        isinstance(each, (str, os.PathLike)) for each in given
    )
    if not are_paths or not given:
        raise TypeError(f"`path` is {path!r}; accepted: the path of a file, or a list of paths")
    return [os.fspath(each) for each in given]


def checked_names(columns: Any) -> list[str]:
    """The names of columns as a list."""
    names = [columns] if isinstance(columns, str) else columns
    are_names = isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)
    if not are_names or not names:
        raise TypeError(f"`columns` is {columns!r}; accepted: the name of a column, or a list of names")
    return list(names)


def type_of(schema: Any, name: str, path: str) -> np.dtype[Any]:
    """The dtype of the column, in NumPy; TypeError unless it is one of numbers or booleans."""
    known = schema.names
    if known.count(name) != 1:
        has = "several columns" if name in known else "no column"
        raise ValueError(f"{path!r} has {has} {name!r}; accepted: one of {', '.join(map(repr, known))}")
    kind = schema.field(name).type
    try:
        dtype: np.dtype[Any] = np.dtype(kind.to_pandas_dtype())
    except (NotImplementedError, TypeError):
        dtype = np.dtype(object)
    if dtype.kind not in "fiub":
        raise TypeError(
            f"the column {name!r} of {path!r} is of type {kind}; accepted: numbers and booleans; choose "
            "others by `columns`"
        )
    return dtype
