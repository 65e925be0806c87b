"""Data whose rows are split over several devices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from portable_nn.backends import Backend
from portable_nn.backends.split_rows import parts_of_each
from portable_nn.network.objective import Batch
from portable_nn.training.data import DeviceSource


class SplitSource(DeviceSource):
    """See `Source`: a slice has some rows of each device, so that none is moved and each computes."""

    def __init__(self, backend: Backend, source: DeviceSource, shards: int) -> None:
        super().__init__(source.all)
        self.backend, self.shards = backend, shards

    def slices(self, size: int, rows: slice | None = None) -> Iterator[Batch]:
        """All rows, `size` of each device at a time; with 1 they are in their own order."""
        X, Y, weight, *others = self.all
        if size == 1 or rows is not None:
            yield from super().slices(size, rows)
            return
        arrays = (X, Y) if weight is None else (X, Y, weight)
        for part in parts_of_each(self.backend, arrays, (-2, -2, -1)[: len(arrays)], self.shards, size):
            X, Y, *w = part
            yield Batch(X, Y, w[0] if w else None, *others)


def kept_split(backend: Backend, source: Any) -> Any:
    """The source, whose slices stay split over the devices that its rows are split over, if they are."""
    if type(source) is not DeviceSource:
        return source
    shards = backend.row_shards(source.all.X)
    return source if shards == 1 else SplitSource(backend, source, shards)
