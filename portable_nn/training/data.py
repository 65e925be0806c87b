"""Sources of batches: data on the device, or on the host and sent there in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from portable_nn.backends import Backend, dtype_name, streaming
from portable_nn.backends.streaming import Piece
from portable_nn.checks import Given
from portable_nn.checks.host_arrays import is_on_host
from portable_nn.equations import Array
from portable_nn.network.objective import Batch
from portable_nn.network.parameters import Checked
from portable_nn.training.epoch_orders import WindowShuffle

STREAM = "; or, for data that is to stay on the host, give fit `stream=True`"
MOST_BATCHES = 256  # in a chunk: nobody should wait too long for the first one of an epoch

Rows = np.ndarray[Any, Any]  # numbers of rows, on the host: (n,), or those of each network, (K, n)
# data on the device, and the rows of its batches, (batches, batch size) or (batches, K, batch size); a
# tuple of those of X, of Y and of the weights, where they differ
Chunk = tuple[Batch, Rows | tuple[Rows, ...]]


class Source(Protocol):
    """Where batches come from: X, Y and, if there are any, weights, in `n` rows.

    `is_resident` says whether all of it is on the device, so that nothing has to be sent in time;
    `mean_weight` is what the weights, if it `has_weights`, are relative to: None for that of each batch.
    """

    n: int
    is_resident: bool
    mean_weight: Any
    has_weights: bool

    def chunks(self, order: Rows, batch_size: int, most: int) -> Iterator[Chunk]:
        """The rows of an epoch in `order`, cut into batches, at most `most` batches in a chunk.

        All batches of a chunk have the same size.
        """

    def slices(self, size: int, rows: slice | None = None) -> Iterator[Batch]:
        """All rows in their own order, or those from a start to a stop, `size` of them at a time."""

    def used(self, results: Any) -> None:
        """Take note of what is being computed from the chunk or slice that was given last."""


class DeviceSource:
    """See `Source`: arrays on the device, used where they are."""

    is_resident = True

    def __init__(self, data: Batch) -> None:
        self.all, self.mean_weight = data, data.mean_weight
        self.has_weights = data.weight is not None
        self.n = int(data.X.shape[-2])

    def chunks(self, order: Rows, batch_size: int, most: int) -> Iterator[Chunk]:
        for part, size in parts(order.shape[-1], batch_size, most):
            yield self.all, batches_of(order[..., part], size)

    def slices(self, size: int, rows: slice | None = None) -> Iterator[Batch]:
        X, Y, weight, *others = self.all
        for part in slices_of(self.n, size, rows):
            w = None if weight is None else weight[..., part]
            yield Batch(X[..., part, :], Y[..., part, :], w, *others)

    def used(self, results: Any) -> None:
        """Nothing to do: the data stay where they are."""


class HostSource:
    """See `Source`: arrays on the host, memory maps and stores too; chunks are sent to the device.

    The rows of stores that were read last stay in memory: as many as a window of the `epoch_order` has,
    or else a chunk. A chunk holds as many batches as `streaming.CHUNK` bytes do, but at least one. All
    chunks are equally long where that is possible: a step may be compiled, or captured, for each length.
    """

    is_resident = False

    def __init__(self, backend: Backend, data: Batch, dtype: Any, epoch_order: Any = None) -> None:
        given = data.X, data.Y, data.weight
        is_window = isinstance(epoch_order, WindowShuffle)
        window = (epoch_order.chunk, epoch_order.window) if is_window else ()
        self.arrays = [streaming.readable(array, *window) for array in given if array is not None]
        known, otherwise = backend.dtypes(), dtype_name(dtype)
        self.dtypes = [streaming.cast_to_send(array, known, otherwise) for array in self.arrays]
        self.n, self.classes = int(data.X.shape[-2]), data.classes
        self.has_weights = data.weight is not None
        # summed by the library that would sum data on the device: to the same bits
        self.mean_weight = mean_of(
            backend, None if data.weight is None else backend.asarray(data.weight)
        )
        self.sender = backend.sender()

    def chunks(self, order: Rows, batch_size: int, most: int) -> Iterator[Chunk]:
        """As of `Source`; a chunk is gathered while the device computes with the one before."""
        if order.ndim > 1:
            raise ValueError(
                f"`epoch_order` gave an order for each network of a stack, {order.shape}; accepted with "
                "`stream=True`: one order for all of them, (m,)"
            )
        size = min(batch_size, len(order))
        room = streaming.CHUNK // max(1, size * sum(array.nbytes for array in self.arrays) // self.n)
        most = even(len(order) // size, max(1, min(most, room, MOST_BATCHES)))
        for part, size in parts(len(order), batch_size, most):
            rows = order[part]
            yield self.send(rows), np.arange(len(rows)).reshape(-1, size)

    def slices(self, size: int, rows: slice | None = None) -> Iterator[Batch]:
        for part in slices_of(self.n, size, rows):
            yield self.send(part)

    def used(self, results: Any) -> None:
        """Let the sender know when the memory of the chunk is free again."""
        self.sender.used(results)

    def send(self, rows: Rows | slice) -> Batch:
        """These rows, on the device."""
        each = zip(self.arrays, (-2, -2, -1), self.dtypes, strict=False)
        X, Y, *weight = self.sender.send(
            [Piece(array, rows, axis, dtype) for array, axis, dtype in each]
        )
        return Batch(X, Y, weight[0] if weight else None, self.mean_weight, self.classes)


def source(backend: Backend, stream: bool, data: Batch, dtype: Any, epoch_order: Any = None) -> Source:
    """The source of batches of this data, which has been checked; `dtype` is that of the parameters."""
    if stream:
        return HostSource(backend, data, dtype, epoch_order)
    return DeviceSource(data._replace(mean_weight=mean_of(backend, data.weight)))


def mean_of(backend: Backend, weight: Array | None) -> Array | None:
    """The mean weight of all the data, which the weights of every batch are relative to."""
    return None if weight is None else backend.xp.mean(weight, axis=-1)


def slices_of(n: int, size: int, rows: slice | None = None) -> Iterator[slice]:
    """The rows 0..n-1, or those of a slice, in parts of at most `size`."""
    first, last = (0, n) if rows is None else (rows.start, rows.stop)
    for start in range(first, last, size):
        yield slice(start, min(start + size, last))


def batches_of(order: Rows, size: int) -> Rows:
    """Rows (n,) as batches (n / size, size), or (K, n) as (n / size, K, size)."""
    some = order.reshape(*order.shape[:-1], -1, size)
    return some if some.ndim == 2 else np.ascontiguousarray(np.moveaxis(some, -2, 0))


def parts(n: int, batch_size: int, most: int) -> Iterator[tuple[slice, int]]:
    """The rows 0..n-1 in parts of at most `most` equal batches; with the size of a batch."""
    size, start = min(batch_size, n), 0
    while start < n:
        size = min(size, n - start)
        stop = start + min((n - start) // size, most) * size
        yield slice(start, stop), size
        start = stop


def even(count: int, most: int) -> int:
    """How many of `count` batches make a chunk, at most `most`, so that chunks are equally long."""
    least = -(-count // most)
    chunks = next((k for k in range(least, 2 * least) if count % k == 0), least)
    return -(-count // chunks)


def training_data(checked: Checked, given: Given, stream: bool, epoch_order: Any = None) -> Source:
    """The source of the training data, once parameters and data have been checked.

    `epoch_order` is that of `fit`.
    """
    if stream:
        checked.check_values()
        batch = checked.check_host_data(given)
    else:
        batch = checked.check_data(given, STREAM)
    return source(checked.backend, stream, batch, checked.dtype, epoch_order)


def validation_data(
    checked: Checked, validation: Any, stream: bool, part: tuple[int, int] = (0, 1)
) -> Source | None:
    """The source of the validation data, once it has been checked; None if there is none.

    With `stream` it may be on the host, or where the parameters are; for `part` see `Given`.
    """
    if validation is None:
        return None
    if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3):
        many = f" of {len(validation)}" if isinstance(validation, (tuple, list)) else ""
        given = f"{type(validation).__name__}{many}"
        raise TypeError(f"`validation` is a {given}; accepted: (X, Y) or (X, Y, sample_weight)")
    X, Y, weight = (*validation, None)[:3]
    data = Given(X, Y, weight, "validation ", part=part)
    stream = stream and is_on_host("validation X", X)
    batch = checked.check_host_data(data) if stream else checked.check_data(data, more=True)
    return source(checked.backend, stream, batch, checked.dtype)
