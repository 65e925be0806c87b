"""The part of a training's data that one of several processes learns from.

All processes draw the same order of all rows and cut it into the same batches; each takes its part of
every batch. What a batch gives then depends on the batch, not on the number of processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from portable_nn.backends import Backend, dtype_name
from portable_nn.checks.data import equal_part
from portable_nn.distributed import Communicator
from portable_nn.equations import Array
from portable_nn.network.objective import Batch
from portable_nn.training.data import Rows, Source

Columns = slice | Rows  # which of a batch's examples: the same of all batches, or (batches, how many)


class Run(NamedTuple):
    """Batches of one size, of which the process has equally many rows each."""

    size: int  # of a batch, in all processes
    rows: Rows  # (batches, how many), numbered as in the source
    columns: Columns


class Share(Protocol):
    """Which rows a process has."""

    n: int

    def runs(self, order: Rows, batch_size: int) -> Iterator[Run]:
        """Its part of the batches that these rows of an epoch are cut into."""

    @property
    def own(self) -> slice:
        """The rows of the source by which it judges its part of the data."""


def whole_batches(order: Rows, batch_size: int) -> Iterator[Rows]:
    """The batches that rows are cut into, (batches, size): the full ones, and the last one."""
    size, n = min(batch_size, len(order)), len(order)
    full = n // size * size
    for some, each in ((order[:full], size), (order[full:], n - full)):
        if len(some):
            yield some.reshape(-1, each)


class EqualParts:
    """See `Share`: every process sees all rows, and has an equal part of each batch."""

    def __init__(self, n: int, communicator: Communicator) -> None:
        self.n, self.rank, self.processes = n, communicator.rank, communicator.size

    def part(self, n: int) -> slice:
        """Its part of n rows: as many as the others have, or one more."""
        return equal_part(n, self.rank, self.processes)

    def runs(self, order: Rows, batch_size: int) -> Iterator[Run]:
        for batches in whole_batches(order, batch_size):
            columns = self.part(batches.shape[1])
            yield Run(batches.shape[1], batches[:, columns], columns)

    @property
    def own(self) -> slice:
        return self.part(self.n)


class Shards:
    """See `Share`: every process sees its own rows only, those of its `shard`, of n in all.

    `lengths` are the numbers of rows of all processes.
    """

    def __init__(self, lengths: Sequence[int], rank: int) -> None:
        self.n = sum(lengths)
        self.start = sum(lengths[:rank])
        self.stop = self.start + lengths[rank]

    def runs(self, order: Rows, batch_size: int) -> Iterator[Run]:
        for batches in whole_batches(order, batch_size):
            yield from self.alike(batches)

    def alike(self, batches: Rows) -> Iterator[Run]:
        """The batches in runs of which it has equally many rows each."""
        is_own = (batches >= self.start) & (batches < self.stop)
        counts = is_own.sum(axis=1)
        ends = [*(np.flatnonzero(np.diff(counts)) + 1).tolist(), len(batches)]
        for first, last in zip([0, *ends[:-1]], ends, strict=True):
            some, mine = batches[first:last], is_own[first:last]
            shape = (last - first, int(counts[first]))
            columns = np.nonzero(mine)[1].reshape(shape)
            yield Run(batches.shape[1], some[mine].reshape(shape) - self.start, columns)

    @property
    def own(self) -> slice:
        return slice(0, self.stop - self.start)


class SharedSource:
    """See `Source`: of what a source has, the part of this process. `n` counts the rows of all.

    A chunk has a third entry, the `Columns` of the batches' dropout masks. With `own_means` weights are
    relative to the mean of their batch.
    """

    def __init__(
        self,
        source: Source,
        share: Share,
        backend: Backend,
        dtype: Any,
        mean_weight: Array | None,
        communicator: Communicator,
    ) -> None:
        self.source, self.share, self.backend = source, share, backend
        self.communicator = communicator
        self.n, self.is_resident = share.n, source.is_resident
        self.dtype, self.mean_weight = dtype_name(dtype), mean_weight
        self.has_weights = source.has_weights
        self.own_means = source.has_weights and mean_weight is None

    def chunks(self, order: Rows, batch_size: int, most: int) -> Iterator[Any]:
        for run in self.share.runs(order, batch_size):
            whole = self.backend.asarray(np.asarray(run.size, self.dtype))
            batches, size = run.rows.shape
            done = 0
            if not size:
                nothing = Batch(None, None, None, self.mean_weight, None, None, whole)  # type: ignore[arg-type]
                for start in range(0, batches, most):
                    yield nothing, run.rows[start : start + most], run.columns
                continue
            for data, rows, *_ in self.source.chunks(run.rows.reshape(-1), size, most):
                some, done = slice(done, done + len(rows)), done + len(rows)
                columns = run.columns if isinstance(run.columns, slice) else run.columns[some]
                yield data._replace(mean_weight=self.mean_weight, whole=whole), rows, columns

    def slices(self, size: int, rows: slice | None = None) -> Iterator[Batch]:
        for batch in self.source.slices(size, self.share.own):
            yield batch._replace(mean_weight=self.mean_weight)

    def used(self, results: Any) -> None:
        """See `Source`."""
        self.source.used(results)


def columns_of(masks: Sequence[Array | None], columns: Columns, backend: Backend) -> list[Array | None]:
    """Those examples' columns of the masks (batches, units, B)."""
    if isinstance(columns, slice):
        return [None if mask is None else mask[..., columns] for mask in masks]
    found: list[Array | None] = []
    for mask in masks:
        if mask is None:
            found.append(None)
            continue
        host = backend.to_numpy(mask)
        own = np.take_along_axis(host, columns[:, None, :], axis=-1)
        found.append(backend.asarray(own, mask.dtype))
    return found


def shards_in_order(lengths: Sequence[int], batch_size: int) -> Rows:
    """The shard of each row of an epoch, (n,), such that every batch has its part of each shard.

    A full batch has floor(q) or floor(q) + 1 rows of a shard whose part of it is q, and those of one
    shard are neighbours. Which batches have one more is as McNaughton's rule (1959) wraps tasks around
    machines: shard by shard, to the batches in turn.
    """
    n = sum(lengths)
    size = min(batch_size, n)
    count = n // size
    of_full = apportioned(lengths, count * size)
    rest = [length - part for length, part in zip(lengths, of_full, strict=True)]
    numbers = np.arange(len(lengths))
    batches = np.tile([part // count for part in of_full], (count, 1))
    turn = 0
    for shard, part in enumerate(of_full):
        more = part % count
        batches[(turn + np.arange(more)) % count, shard] += 1
        turn += more
    found = [np.repeat(numbers, row) for row in [*batches, rest]]
    return np.concatenate(found)


def apportioned(lengths: Sequence[int], total: int) -> list[int]:
    """`total` rows, of each shard its part, by largest remainders."""
    n = sum(lengths)
    exact = [length * total for length in lengths]
    found = [each // n for each in exact]
    by_rest = sorted(range(len(lengths)), key=lambda k: (-(exact[k] % n), k))
    for k in by_rest[: total - sum(found)]:
        found[k] += 1
    return found
