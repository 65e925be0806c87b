"""Moves rows of host arrays to a device, chunk by chunk, while it computes with the chunk before."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from portable_nn import trees
from portable_nn.compiler.signatures import HostArray
from portable_nn.equations import Array
from portable_nn.stores import BlockReader, StoredRows
from portable_nn.trees import Tree

CHUNK = 2**25  # bytes that are moved, or checked, at a time


class Piece(NamedTuple):
    """Rows of a host array: those of these numbers, or of a slice, along `axis`, which is negative.

    `cast` is the dtype that they are to have, None for their own. Rows of a store are along the first.
    """

    array: HostArray | BlockReader
    rows: HostArray | slice
    axis: int
    cast: np.dtype[Any] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the rows."""
        shape = list(self.array.shape)
        picked = range(shape[self.axis])[self.rows] if isinstance(self.rows, slice) else self.rows
        shape[self.axis] = len(picked)
        return tuple(shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the rows, in this machine's byte order."""
        native: np.dtype[Any] = self.array.dtype.newbyteorder("=")
        return native if self.cast is None else self.cast

    def picked(self) -> HostArray:
        """The rows, by NumPy's indexing: a view if they are a slice; those of a store are read."""
        if isinstance(self.array, BlockReader):
            return self.array.take(self.rows)
        return self.array[(..., self.rows, *(slice(None),) * (-1 - self.axis))]

    @staticmethod
    def copied(rows: HostArray, out: HostArray) -> HostArray:
        """`out`, once the rows have been copied to it."""
        np.copyto(out, rows)
        return out

    def gather(self, out: HostArray | None = None) -> HostArray:
        """The rows, copied to `out`; without it an array that may be a view."""
        if self.cast is not None:
            found = self._replace(cast=None).gather().astype(self.cast)
            return found if out is None else self.copied(found, out)
        array, rows = self.array, self.rows
        if isinstance(array, BlockReader) or isinstance(rows, slice) or not is_plain(array):
            # `take` would copy all of an array that is not contiguous and aligned
            return self.picked() if out is None else self.copied(self.picked(), out)
        # the numbers have been checked, and with the mode "raise" NumPy would fill a copy of `out` first
        return np.take(array, rows, axis=self.axis, out=out, mode="clip")


def is_plain(array: HostArray) -> bool:
    """Whether the array is contiguous, in rows, and aligned."""
    return array.flags.c_contiguous and array.flags.aligned


def readable(array: Any, block: int | None = None, count: int | None = None) -> Any:
    """What a `Piece` takes rows of: a reader for those of a store, else NumPy's array.

    A memory map stays one, without its class. A reader keeps `count` blocks of `block` rows in
    memory: by default what makes a chunk.
    """
    if isinstance(array, StoredRows):
        return BlockReader(array, CHUNK, block, count)
    return np.asarray(array)


def cast_to_send(
    array: HostArray | BlockReader, known: Collection[str], otherwise: str
) -> np.dtype[Any] | None:
    """The dtype that rows of `array` are to have on a device with the `known` ones; None: their own.

    Integers of a dtype that the device lacks are sent as `otherwise`.
    """
    return None if array.dtype.name in known else np.dtype(otherwise)


class Receiver(Protocol):
    """What a `Sender` asks of a backend."""

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """`x` on the device."""

    def ready(self, *arrays: Any) -> None:
        """Wait until the arrays are computed."""


class Sender:
    """Moves each chunk by `Backend.asarray`; at most two chunks are on the device at a time.

    The caller computes with a chunk right after it has been sent, and passes the results to `used`.
    """

    def __init__(self, backend: Receiver) -> None:
        self.backend = backend
        self.results: list[Array] = []

    def send(self, pieces: Sequence[Piece]) -> list[Array]:
        """The rows as arrays of the backend. The device may still be computing with the chunk before."""
        arrays = [self.backend.asarray(piece.gather()) for piece in pieces]
        self.backend.ready(*self.results)  # else a fast host could send any number of chunks ahead
        self.results = []
        return arrays

    def used(self, results: Tree) -> None:
        """Keep the results computed from the last chunk; they show when the device is done with it."""
        self.results = trees.leaves(results)


class CopyStreams(Protocol):
    """The two streams of an asynchronous device that `OverlappingSender` uses.

    The device computes on the current stream and copies on the copy stream. Work on a stream runs in the
    order in which it was enqueued; an event is complete when all work enqueued before it is done.
    """

    def host_buffer(self, count: int, dtype: np.dtype[Any]) -> HostArray:
        """A flat array in pinned host memory, which the device can read by itself."""

    def device_buffer(self, count: int, dtype: np.dtype[Any]) -> Any:
        """A flat array on the device; earlier work on the current stream may still use its memory."""

    def copy(self, target: Any, source: HostArray) -> None:
        """Enqueue a copy to the device on the copy stream; `source` must not change until it is done."""

    def record_current(self) -> Any:
        """An event on the current stream."""

    def record_copies(self) -> Any:
        """An event on the copy stream."""

    def current_waits(self, event: Any) -> None:
        """Make later work on the current stream wait for the event."""

    def copies_wait(self, event: Any) -> None:
        """Make later work on the copy stream wait for the event."""

    def host_waits(self, event: Any) -> None:
        """Wait for the event on the host."""


class Slot:
    """The memory of a chunk on the host and on the device, and the events that say when it is free."""

    def __init__(self) -> None:
        self.host_buffers: list[HostArray] = []
        self.device_buffers: list[Any] = []
        self.copied: Any = None  # once complete, the host buffers may be overwritten
        self.used: Any = None  # once complete, the device buffers may be overwritten

    def holds(self, pieces: Sequence[Piece]) -> bool:
        """Whether the buffers are large enough for these pieces, and of their dtypes."""
        return len(pieces) == len(self.host_buffers) and all(
            math.prod(piece.shape) <= array.size and piece.dtype == array.dtype
            for piece, array in zip(pieces, self.host_buffers, strict=True)
        )


class OverlappingSender(Sender):
    """Copies a chunk while the device computes with the one before: two slots take turns.

    The buffers of a slot keep their addresses as long as the chunks do not grow, so a CUDA graph that
    reads them can be replayed.
    """

    def __init__(self, streams: CopyStreams) -> None:
        self.streams = streams
        self.slots = [Slot(), Slot()]

    def send(self, pieces: Sequence[Piece]) -> list[Array]:
        """The rows as arrays on the device, for work on the current stream; the next send but one
        overwrites them.
        """
        self.slots.reverse()
        before, slot = self.slots
        before.used = self.streams.record_current()  # all work on that chunk has been enqueued by now
        if not slot.holds(pieces):
            for each in self.slots:
                self.allocate(each, pieces)
        if slot.copied is not None:
            self.streams.host_waits(slot.copied)
        self.streams.copies_wait(slot.used)
        arrays = []
        for piece, host, device in zip(pieces, slot.host_buffers, slot.device_buffers, strict=True):
            count = math.prod(piece.shape)
            gathered = piece.gather(out=host[:count].reshape(piece.shape))
            arrays.append(device[:count].reshape(piece.shape))
            self.streams.copy(arrays[-1], gathered)
        slot.copied = self.streams.record_copies()
        self.streams.current_waits(slot.copied)
        return arrays

    def allocate(self, slot: Slot, pieces: Sequence[Piece]) -> None:
        """Give a slot new buffers; work that has been enqueued still has the old ones."""
        if slot.copied is not None:
            self.streams.host_waits(slot.copied)
        sizes = [(math.prod(piece.shape), piece.dtype) for piece in pieces]
        slot.host_buffers = [self.streams.host_buffer(*size) for size in sizes]
        slot.device_buffers = [self.streams.device_buffer(*size) for size in sizes]
        slot.used = self.streams.record_current()

    def used(self, results: Tree) -> None:
        """Nothing to do: the events say when the device is done with a chunk."""
