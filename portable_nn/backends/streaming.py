"""Rows of arrays on the host, sent to a device chunk after chunk while it computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from portable_nn import trees

if TYPE_CHECKING:
    from portable_nn.backends.base import Backend

CHUNK = 2**25  # bytes that are sent, or looked at, at a time
Host = np.ndarray[Any, Any]


class Piece(NamedTuple):
    """Rows of an array on the host: those of these numbers along `axis` (negative), or of a slice."""

    array: Host
    rows: Host | slice
    axis: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of these rows."""
        shape = list(self.array.shape)
        picked = range(shape[self.axis])[self.rows] if isinstance(self.rows, slice) else self.rows
        shape[self.axis] = len(picked)
        return tuple(shape)

    @property
    def dtype(self) -> Any:
        """Their dtype, in the order of bytes that this machine has."""
        return self.array.dtype.newbyteorder("=")

    def picked(self) -> Host:
        """The rows: a view where they are a slice."""
        return self.array[(..., self.rows, *(slice(None),) * (-1 - self.axis))]

    def gather(self, out: Host | None = None) -> Host:
        """The rows: into `out`, or as an array that may be a view."""
        flags = self.array.flags
        if isinstance(self.rows, slice) or not (flags.c_contiguous and flags.aligned):
            if out is None:
                return self.picked()
            np.copyto(out, self.picked())
            return out
        # (what lies otherwise, or not aligned, `take` would copy whole before.) The numbers have been
        # checked; with the mode "raise" NumPy would fill `out` by way of a copy
        return np.take(self.array, self.rows, axis=self.axis, out=out, mode="clip")


class Sender:
    """Sends a chunk at once, as `asarray` does; two chunks at most are on the device.

    A chunk is used as soon as it has been sent; ``used(results)`` is told what is computed from it.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.results: list[Any] = []

    def send(self, pieces: Sequence[Piece]) -> list[Any]:
        """The rows as arrays of the backend. The device may still be computing with the chunk before."""
        arrays = [self.backend.asarray(piece.gather()) for piece in pieces]
        self.backend.ready(*self.results)  # else a host that is quick could send without limit
        self.results = []
        return arrays

    def used(self, results: Any) -> None:
        """Keep `results`, nested lists and tuples of arrays: they show when the chunk is done with."""
        self.results = trees.leaves(results)


class Lanes(Protocol):
    """What `Relay` needs of an asynchronous device.

    It has two lanes of work, the `current` one, on which it computes, and one at its `side` for copies.
    Each keeps its own order; a mark on one of them is passed once all work before it is done.
    """

    def staging(self, count: int, dtype: Any) -> Host:
        """Memory on the host from which the device copies by itself, as a flat array."""

    def buffer(self, count: int, dtype: Any) -> Any:
        """Memory on the device as a flat array; work on the current lane may still be using it."""

    def copy(self, buffer: Any, staging: Host) -> None:
        """Copy to the device, on the side lane; `staging` is read at some time before the next mark."""

    def mark_current(self) -> Any:
        """A mark on the current lane."""

    def mark_side(self) -> Any:
        """A mark on the side lane."""

    def current_waits(self, mark: Any) -> None:
        """Let later work on the current lane wait for the mark."""

    def side_waits(self, mark: Any) -> None:
        """Let later work on the side lane wait for the mark."""

    def host_waits(self, mark: Any) -> None:
        """Wait here for the mark."""


class Slot:
    """Memory for a chunk, on the host and on the device, and the marks that say when it is free."""

    def __init__(self) -> None:
        self.staging: list[Host] = []
        self.buffers: list[Any] = []
        self.copied: Any = None  # once passed, `staging` may be written to
        self.used: Any = None  # once passed, `buffers` may be written to

    def holds(self, pieces: Sequence[Piece]) -> bool:
        """Whether there is room for these pieces."""
        return len(pieces) == len(self.staging) and all(
            math.prod(piece.shape) <= array.size and piece.dtype == array.dtype
            for piece, array in zip(pieces, self.staging, strict=True)
        )


class Relay(Sender):
    """Copies a chunk while the device computes with the one before: two slots are used in turn.

    The memory of a slot stays where it is while the chunks do not grow, so what has been recorded for
    its address can be played again.
    """

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.slots = [Slot(), Slot()]

    def send(self, pieces: Sequence[Piece]) -> list[Any]:
        """The rows as arrays on the device, for the current lane; they last until the next but one."""
        self.slots.reverse()
        before, slot = self.slots
        before.used = self.lanes.mark_current()  # what computes with that chunk has all been launched
        if not slot.holds(pieces):
            for each in self.slots:
                self.make_room(each, pieces)
        if slot.copied is not None:
            self.lanes.host_waits(slot.copied)
        self.lanes.side_waits(slot.used)
        arrays = []
        for piece, staging, buffer in zip(pieces, slot.staging, slot.buffers, strict=True):
            count = math.prod(piece.shape)
            gathered = piece.gather(out=staging[:count].reshape(piece.shape))
            arrays.append(buffer[:count].reshape(piece.shape))
            self.lanes.copy(arrays[-1], gathered)
        slot.copied = self.lanes.mark_side()
        self.lanes.current_waits(slot.copied)
        return arrays

    def make_room(self, slot: Slot, pieces: Sequence[Piece]) -> None:
        """Other memory for a slot; what computes with the former still has it."""
        if slot.copied is not None:
            self.lanes.host_waits(slot.copied)
        sizes = [(math.prod(piece.shape), piece.dtype) for piece in pieces]
        slot.staging = [self.lanes.staging(*size) for size in sizes]
        slot.buffers = [self.lanes.buffer(*size) for size in sizes]
        slot.used = self.lanes.mark_current()

    def used(self, results: Any) -> None:
        """Nothing: the marks say when a chunk is done with."""
