"""A store that answers slices of rows, counts them, and refuses everything else."""

from __future__ import annotations

from typing import Any

import numpy as np


class CountingStore:
    """Rows of an array; `slices` are those that were read, as (start, stop)."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.slices: list[tuple[int, int]] = []

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def dtype(self) -> Any:
        return self._array.dtype

    def __getitem__(self, rows: slice) -> Any:
        assert type(rows) is slice, rows
        assert type(rows.start) is type(rows.stop) is int, rows
        assert rows.step is None
        assert 0 <= rows.start < rows.stop <= len(self._array), rows
        self.slices.append((rows.start, rows.stop))
        return self._array[rows]

    def __array__(self, *arguments: Any, **named: Any) -> Any:
        raise AssertionError("all of the store was asked for")

    def __len__(self) -> int:
        raise AssertionError("its length was asked for, and not its shape")

    def rows_read(self) -> int:
        return sum(stop - start for start, stop in self.slices)


class Chunked(CountingStore):
    """It says how many rows its chunks have."""

    def __init__(self, array: Any, chunks: Any) -> None:
        super().__init__(array)
        self.chunks = chunks


class Computed(CountingStore):
    """Rows (n, width) that exist only once they are read."""

    def __init__(self, n: int, width: int, dtype: str = "float32") -> None:
        super().__init__(np.empty(0))
        self.of, self.kind = (n, width), np.dtype(dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.of

    @property
    def dtype(self) -> Any:
        return self.kind

    def __getitem__(self, rows: slice) -> Any:
        self.slices.append((rows.start, rows.stop))
        numbers = np.arange(rows.start, rows.stop)[:, None] * 7919 + np.arange(self.of[1]) * 104729
        return (numbers % 1000).astype(self.kind) / 1000
