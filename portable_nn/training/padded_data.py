"""Data of few lengths, for a library that compiles for each: what is added counts for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from portable_nn.backends import Backend, dtype_name
from portable_nn.backends.padding import lengthened, padded_length
from portable_nn.equations import Array
from portable_nn.network.initialization import count_parameters
from portable_nn.network.objective import Batch
from portable_nn.network.user_functions import user_defined
from portable_nn.training.data import Chunk, DeviceSource, Rows, batches_of, parts, slices_of
from portable_nn.training.description import Training
from portable_nn.training.split_data import kept_split

FEWEST_ROWS = 1024  # that room is made for; a multiple of any slice
MOST_GENEROUS = 1 << 20  # bytes, beyond which less room is made
FEWEST_AT_ONCE = 32  # in a batch or slice that is filled up
FEW_BATCHES = 4  # of an epoch: one more that is as large as they are would take long, but for
LITTLE_WORK = 1 << 23  # rows times parameters


class PaddedSource:
    """See `Source`: arrays on the device, with copies of the last row behind them.

    With `fills_batches` the last batch of an epoch is filled up, and becomes as large as the others: by
    the number n, which no row has. With `fills_slices` those copies fill up the last slice. `counted`
    rows are the data's own, or a slice's.
    """

    is_resident = True

    def __init__(
        self,
        backend: Backend,
        source: DeviceSource,
        length: int,
        dtype: Any,
        fills: tuple[bool, bool],
        parameters: int,
    ) -> None:
        X, Y, weight, mean, classes, *_ = source.all
        self.mean_weight, self.has_weights = mean, weight is not None
        self.backend, self.n, self.dtype = backend, source.n, dtype
        self.fills_batches, self.fills_slices = fills
        self.parameters = parameters

        def longer(array: Any, axis: int) -> Array:
            host = lengthened(backend.to_numpy(array), length, axis)
            return backend.from_host(host, array.dtype)

        weight = None if weight is None else longer(weight, -1)
        index = backend.index_dtype()
        counted = backend.asarray(np.asarray(self.n), dtype=index) if self.fills_batches else None
        self.all = Batch(longer(X, -2), longer(Y, -2), weight, mean, classes, counted)

    def chunks(self, order: Rows, batch_size: int, most: int) -> Iterator[Chunk]:
        n, size = order.shape[-1], batch_size
        if not self.fills_batches:
            for part, each in parts(n, size, most):
                yield self.all, batches_of(order[..., part], each)
            return
        last = n % size if n > size else n
        size_of_last = self.size_of_last(last, size)
        end = n if size_of_last == size else n - last
        for start in range(0, end, most * size):
            yield self.all, self.batches(order[..., start : min(start + most * size, end)], size)
        if end < n:
            yield self.all, self.batches(order[..., end:], size_of_last)

    def size_of_last(self, rows: int, size: int) -> int:
        """The size of a last batch of so many rows: `size`, where that is little work, or one of many.

        Where all the data is one batch, it is that of few sizes, whatever `size` is. What decides is not
        how many rows are asked for: an epoch may be carried out in parts.
        """
        is_whole = self.n <= size
        most = filled(rows) if is_whole else size
        if self.n >= FEW_BATCHES * size or (most - rows) * self.parameters <= LITTLE_WORK:
            return most
        return rows if is_whole else min(filled(rows), size)

    def batches(self, rows: Rows, size: int) -> Rows:
        """The rows as batches, the last of them filled up."""
        missing = -rows.shape[-1] % size
        if missing == 0:
            return batches_of(rows, size)
        filling = np.full((*rows.shape[:-1], missing), self.n)  # which may be too large for their dtype
        return batches_of(np.concatenate([rows.astype(filling.dtype), filling], axis=-1), size)

    def slices(self, size: int, rows: slice | None = None) -> Iterator[Batch]:
        X, Y, weight, mean, classes, *_ = self.all
        for given in slices_of(self.n, size, rows):
            start, count = given.start, given.stop - given.start
            part = slice(start, start + (min(filled(count), size) if self.fills_slices else count))
            w = None if weight is None else weight[..., part]
            counted = self.scalar(count) if self.fills_slices else None
            yield Batch(X[..., part, :], Y[..., part, :], w, mean, classes, counted)

    def used(self, results: Any) -> None:
        """Nothing to do: the data stay where they are."""

    def scalar(self, value: int) -> Array:
        """A number on the device."""
        return self.backend.asarray(np.asarray(value, dtype_name(self.dtype)))


def filled(count: int) -> int:
    """The length that `count` rows are filled up to: a power of 2, or one and a half."""
    length = max(FEWEST_AT_ONCE, 1 << (count - 1).bit_length())
    return length * 3 // 4 if count <= length * 3 // 4 and length > FEWEST_AT_ONCE else length


def with_few_lengths(
    backend: Backend, training: Training, source: Any, dtype: Any, drops_units: bool
) -> Any:
    """The source, padded where the backend wants it and nothing but the rows themselves decides.

    A user-defined function may look at all rows at once, and statistics of a batch are of all its rows;
    masks are drawn for each row.
    """
    if type(source) is not DeviceSource or backend.padded_bytes == 0:
        return kept_split(backend, source)
    n: int = source.n
    X: Any = source.all.X
    bytes_of_one = -(-X.nbytes // n)
    least = FEWEST_ROWS * (4 if bytes_of_one <= 256 else 1)
    length = padded_length(n, least, bytes_of_one, MOST_GENEROUS)
    if length * bytes_of_one > backend.padded_bytes:
        return source
    objective, metrics = training.net.objective, (metric for _, metric in training.metrics)
    is_plain = objective.user_functions == ()
    is_plain_metric = not user_defined(*(getattr(metric, "function", None) for metric in metrics))
    fills_batches = is_plain and not drops_units and not objective.model.has_statistics
    fills = fills_batches, is_plain and is_plain_metric
    parameters = count_parameters(training.net.described.layers)
    return PaddedSource(backend, source, length, dtype, fills, parameters)
