"""What is trained on: rows that lie where the parameters do, or on the host, sent in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from portable_nn import checks
from portable_nn.backends import Backend
from portable_nn.backends import streaming as sending
from portable_nn.backends.streaming import Piece
from portable_nn.checks import host_arrays as host_checks
from portable_nn.equations import Array, Parameters
from portable_nn.network import Network

MOST = 256  # batches in a chunk: the first one of an epoch is not to be waited for too long

Chunk = tuple["Data", np.ndarray[Any, Any]]


def mean_of(backend: Backend, weight: Array | None) -> Array | None:
    """The mean weight of all the data, for every part of it to be relative to."""
    return None if weight is None else backend.xp.mean(weight, axis=-1)


class Data(NamedTuple):
    """X (n, n_0) and Y (n, n_L), in rows, and their weights (n,), if they have any.

    `mean_weight` is what the weights of a batch are relative to; None stands for the batch's own mean.
    """

    X: Any
    Y: Array
    weight: Array | None = None
    mean_weight: Array | None = None

    def chunks(self, drawn: np.ndarray[Any, Any], batch_size: int, most: int) -> Iterator[Chunk]:
        """The rows `drawn`, in batches: data, and the numbers of its rows, (batches, size of a batch).

        There are `most` batches in a chunk at most.
        """
        for part, size in parts(len(drawn), batch_size, most):
            yield self, drawn[part].reshape(-1, size)

    def slices(self, size: int) -> Iterator[Data]:
        """All rows in their order, `size` of them at a time."""
        X, Y, weight, mean_weight = self
        n = X.shape[-2]
        for start in range(0, n, size):
            part = slice(start, min(start + size, n))
            w = None if weight is None else weight[..., part]
            yield Data(X[..., part, :], Y[..., part, :], w, mean_weight)

    def used(self, results: Any) -> None:
        """Nothing: for `HostData`, which has to know."""


class HostData:
    """As `Data`, of arrays on the host; what is given of it lies on the device of `backend`.

    A chunk holds as many batches as `sending.CHUNK` bytes do, but one at least. All are as long, as far
    as that can be: a step may be compiled, or recorded, for each length.
    """

    def __init__(self, backend: Backend, X: Array, Y: Array, weight: Array | None = None) -> None:
        self.X, self.Y = np.asarray(X), np.asarray(Y)  # a memory map stays one, without its class
        self.weight = None if weight is None else np.asarray(weight)
        # summed up by the library that would do so with all data there: to the same bits
        self.mean_weight = mean_of(backend, None if weight is None else backend.asarray(weight))
        self.sender = backend.sender()

    def chunks(self, drawn: np.ndarray[Any, Any], batch_size: int, most: int) -> Iterator[Chunk]:
        """As of `Data`; a chunk is gathered when it is asked for: while that before is computed with."""
        size = min(batch_size, len(drawn))
        room = sending.CHUNK // max(1, size * sum(array.nbytes for array in self.arrays()) // self.n)
        most = even(len(drawn) // size, max(1, min(most, room, MOST)))
        for part, size in parts(len(drawn), batch_size, most):
            rows = drawn[part]
            yield self.send(rows), np.arange(len(rows)).reshape(-1, size)

    def slices(self, size: int) -> Iterator[Data]:
        """As of `Data`."""
        for start in range(0, self.n, size):
            yield self.send(slice(start, min(start + size, self.n)))

    def used(self, results: Any) -> None:
        """To be told what is computed from that which was given last."""
        self.sender.used(results)

    @property
    def n(self) -> int:
        """The number of rows."""
        return int(self.X.shape[-2])

    def arrays(self) -> list[np.ndarray[Any, Any]]:
        """X, Y and, if there are any, the weights."""
        return [array for array in (self.X, self.Y, self.weight) if array is not None]

    def send(self, rows: np.ndarray[Any, Any] | slice) -> Data:
        """These rows, on the device."""
        axes = (-2, -2, -1)
        pieces = [Piece(array, rows, axis) for array, axis in zip(self.arrays(), axes, strict=False)]
        X, Y, *weight = self.sender.send(pieces)
        return Data(X, Y, weight[0] if weight else None, self.mean_weight)


def admit(
    net: Network,
    params: Parameters,
    data: tuple[Array, Array, Array | None],
    stream: bool,
    prefix: str = "",
) -> tuple[Backend, Data | HostData]:
    """The backend of `params`, and X, Y and weights with it, once all has been checked."""
    X, Y, weight = data
    if stream:
        backend = host_checks.admit(net.sizes, net.loss, params, *data, prefix)
        return backend, HostData(backend, X, Y, weight)
    otherwise = "" if prefix else "; or, for data that is to stay on the host, give fit `stream=True`"
    backend = checks.admit(net.sizes, net.loss, params, *data, prefix, otherwise)
    return backend, Data(X, Y, weight, mean_of(backend, weight))


def admit_validation(
    net: Network, params: Parameters, validation: Any, stream: bool
) -> Data | HostData | None:
    """The validation data, checked as training data is; None if there is none.

    With `stream` it may lie on the host, or where `params` do.
    """
    if validation is None:
        return None
    if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3):
        many = f" of {len(validation)}" if isinstance(validation, (tuple, list)) else ""
        given = f"{type(validation).__name__}{many}"
        raise TypeError(f"`validation` is a {given}; accepted: (X, Y) or (X, Y, sample_weight)")
    stream = stream and checks.owner("validation X", validation[0]).host
    return admit(net, params, (*validation, None)[:3], stream, "validation ")[1]


def parts(n: int, batch_size: int, most: int) -> Iterator[tuple[slice, int]]:
    """The rows 0..n-1 in parts of equal batches, at most `most` of them; with the size of a batch."""
    size, start = min(batch_size, n), 0
    while start < n:
        size = min(size, n - start)
        stop = start + min((n - start) // size, most) * size
        yield slice(start, stop), size
        start = stop


def even(count: int, most: int) -> int:
    """How many of `count` batches to take at a time, `most` at most, for the portions to be alike.

    An even number, but for one: of steps that a backend makes by twos it makes the same ones together.
    """
    pairs, room = -(-count // 2), most // 2
    if room == 0:
        return 1
    least = max(1, -(-pairs // room))
    portions = next((k for k in range(least, 2 * least) if pairs % k == 0), least)
    return 2 * -(-pairs // portions)
