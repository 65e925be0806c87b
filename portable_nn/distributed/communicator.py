"""What is asked of a group of processes, and the group of one."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from portable_nn.compiler.signatures import HostArray

METHODS = ("rank", "size", "sum_", "broadcast_", "max", "abort")


@runtime_checkable
class Communicator(Protocol):
    """A group of processes, each with its number `rank`, 0..size-1.

    All processes call the same methods in the same order, and each call waits for the others. `flat` is
    a contiguous array of NumPy of one axis, which is overwritten. A communicator that takes arrays of a
    device too says so by a method ``takes(flat)``; other arrays go through a copy on the host.

    Attributes
    ----------
    rank, size : int
    """

    rank: int
    size: int

    def sum_(self, flat: Any) -> None:
        """Overwrite `flat` with the sum of those of all processes: the same bits for all."""

    def broadcast_(self, flat: Any, root: int = 0) -> None:
        """Overwrite `flat` with that of the process `root`."""

    def max(self, value: int) -> int:
        """The largest of the integers that the processes give."""

    def abort(self) -> None:
        """End all processes at once."""


class Alone:
    """A `Communicator` of one process."""

    rank, size = 0, 1

    def sum_(self, flat: HostArray) -> None:
        """Nothing to add."""

    def broadcast_(self, flat: HostArray, root: int = 0) -> None:
        """Nobody to send it to."""

    def max(self, value: int) -> int:
        """The value."""
        return value

    def abort(self) -> None:
        """Nothing: the error that is being raised ends the process."""


def check_communicator(given: Any) -> Communicator | None:
    """The communicator; TypeError for what is none."""
    if given is None:
        return None
    missing = [name for name in METHODS if not hasattr(given, name)]
    if missing or isinstance(given, type):
        lacks = f", which lacks `{missing[0]}`" if missing else ""
        raise TypeError(
            f"`communicator` is {given!r}{lacks}; accepted: portable_nn.distributed.mpi(), "
            "portable_nn.distributed.torch(), or an object with the methods of "
            "portable_nn.distributed.Communicator"
        )
    return given  # type: ignore[no-any-return]


def several(communicator: Communicator | None) -> Communicator | None:
    """The group; None where it has one process, which has nobody to wait for."""
    return None if communicator is None or communicator.size == 1 else communicator


def is_first(communicator: Communicator | None) -> bool:
    """Whether this process is the one that prints, writes files and calls callbacks."""
    return communicator is None or communicator.rank == 0
