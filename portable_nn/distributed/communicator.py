"""What is asked of a group of processes, and the group of one."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from portable_nn.compiler.signatures import HostArray

METHODS = ("rank", "size", "sum_", "broadcast_", "max", "abort")


@runtime_checkable
class Communicator(Protocol):
    """A group of processes, each with its number `rank`, 0..size-1.

    All processes call the same methods in the same order, and each call waits for the others. `flat` is
    a contiguous array of NumPy of one axis, which may be empty, and is overwritten: of float32, float64
    or int64 where it is summed, also of bytes (uint8) where it is broadcast. A communicator that takes
    arrays of a device too says so by a method ``takes(flat)``: `sum_` is then given those for which it
    is true, and overwrites them where they are; other arrays go through a copy on the host. Every fit
    begins with a short test of the methods.

    Attributes
    ----------
    rank, size : int

    Examples
    --------
    A user-defined one needs no base class:

    >>> import portable_nn as pnn
    >>> class OfOne:
    ...     rank, size = 0, 1
    ...     def sum_(self, flat): ...
    ...     def broadcast_(self, flat, root=0): ...
    ...     def max(self, value):
    ...         return value
    ...     def abort(self): ...
    >>> isinstance(OfOne(), pnn.distributed.Communicator)
    True
    """

    rank: int
    size: int

    def sum_(self, flat: Any) -> None:
        """Overwrite `flat` with the sum of those of all processes: the same bits for all.

        Parameters
        ----------
        flat : array (n,)
            Contiguous, of float32, float64 or int64; n may be 0.
        """

    def broadcast_(self, flat: Any, root: int = 0) -> None:
        """Overwrite `flat` with that of one process.

        Parameters
        ----------
        flat : array (n,)
            Contiguous, of float32, float64, int64 or bytes (uint8); n may be 0.
        root : int
            The process whose values all get.
        """

    def max(self, value: int) -> int:
        """The largest of the integers that the processes give.

        Parameters
        ----------
        value : int
            May be negative.

        Returns
        -------
        int
        """

    def abort(self) -> None:
        """End all processes at once."""


class Alone:
    """A `Communicator` of one process.

    Attributes
    ----------
    rank, size : int
        0 and 1.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> group = pnn.distributed.Alone()
    >>> group.rank, group.size, group.max(7)
    (0, 1, 7)
    """

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
    check_works(given)
    return given  # type: ignore[no-any-return]


def check_works(communicator: Communicator) -> None:
    """Raise TypeError where a method does something else than `Communicator` says: all find out.

    What adds up wrongly would train wrongly, and nobody would notice.
    """
    rank, size = communicator.rank, communicator.size
    if not (isinstance(rank, int) and isinstance(size, int) and 0 <= rank < size):
        raise TypeError(
            f"`communicator` has rank {rank!r} and size {size!r}; accepted: integers, 0 <= rank < size"
        )
    if not callable(communicator.abort):
        raise TypeError(f"`abort` of `communicator` is {communicator.abort!r}; accepted: a method")
    if size == 1:
        return
    squares = sum(k * k for k in range(size))
    wanted = {
        "sum_": [size, size * (size - 1) // 2, squares],
        "broadcast_": [1, size - 1, (size - 1) ** 2],
    }
    for dtype in ("int64", "float32", "float64"):
        for name, values in wanted.items():
            flat = np.asarray([1, rank, rank * rank], dtype=dtype)
            if name == "sum_":
                communicator.sum_(flat)
            else:
                communicator.broadcast_(flat, size - 1)
            expected = np.asarray(values, dtype=dtype)
            if not np.allclose(flat, expected):
                does = "the sum over the processes" if name == "sum_" else "that of the last process"
                raise TypeError(
                    f"`{name}` of `communicator` has left {flat.tolist()} in an array of {dtype}; "
                    f"accepted: one that overwrites it with {does}, {values}"
                )
    found = communicator.max(rank)
    if not isinstance(found, int) or found != size - 1:
        raise TypeError(
            f"`max` of `communicator` gives {found!r} for the ranks of {size} processes; accepted: the "
            f"largest, as an int: {size - 1}"
        )


def several(communicator: Communicator | None) -> Communicator | None:
    """The group; None where it has one process, which has nobody to wait for."""
    return None if communicator is None or communicator.size == 1 else communicator


def is_first(communicator: Communicator | None) -> bool:
    """Whether this process is the one that prints, writes files and calls callbacks."""
    return communicator is None or communicator.rank == 0
