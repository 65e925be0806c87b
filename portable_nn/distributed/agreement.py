"""What processes agree on: errors, arguments, values of the first one. All of them take part."""

from __future__ import annotations

import contextlib
import pickle
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np

from portable_nn.distributed.communicator import Communicator
from portable_nn.errors import NonFiniteCostError, OtherProcessError

AGREED = (NonFiniteCostError, OtherProcessError)  # all processes raise them at the same time


def are_equal(communicator: Communicator, value: int) -> bool:
    """Whether all processes give the same integer."""
    return communicator.max(value) == -communicator.max(-value)


def of_each(communicator: Communicator, value: Any) -> list[Any]:
    """The values of all processes, in their order."""
    return [of_root(communicator, value, rank) for rank in range(communicator.size)]


def of_root(communicator: Communicator, value: Any, root: int = 0) -> Any:
    """The `value` of the process `root`, for all; that of others does not count."""
    if communicator.rank == root:
        data = np.frombuffer(pickle.dumps(value), np.uint8).copy()
        communicator.max(len(data))
    else:
        data = np.empty(communicator.max(0), np.uint8)
    communicator.broadcast_(data, root)
    return value if communicator.rank == root else pickle.loads(data.tobytes())


@contextlib.contextmanager
def failing_together(communicator: Communicator | None) -> Iterator[None]:
    """If what is done within fails in one process, it fails in all: see `OtherProcessError`.

    Nothing within may wait for another process.
    """
    error: Exception | None = None
    try:
        yield
    except Exception as found:
        if communicator is None:
            raise
        error = found
    if communicator is None:
        return
    first = first_to(communicator, error is not None)
    if first is None:
        return
    text = of_root(communicator, f"{type(error).__name__}: {error}", first)
    if error is not None:
        with contextlib.suppress(AttributeError):  # of a class with slots
            error.is_agreed = True  # type: ignore[attr-defined]  # see `ending_together`
        raise error
    raise OtherProcessError(f"process {first} of {communicator.size} has raised {text}")


def first_to(communicator: Communicator, does: bool) -> int | None:
    """The first process of which `does` is true; None if there is none."""
    rank, size = communicator.rank, communicator.size
    first = size - communicator.max(size - rank if does else 0)
    return None if first == size else first


@contextlib.contextmanager
def ending_together(communicator: Communicator | None) -> Iterator[None]:
    """An error within, in one process, is shown and ends all of them: the others may be waiting.

    An error with which all are failing together is raised in all.
    """
    try:
        yield
    except BaseException as error:
        is_agreed = isinstance(error, AGREED) or getattr(error, "is_agreed", False)
        if communicator is not None and communicator.size > 1 and not is_agreed:
            traceback.print_exc()
            print(f"process {communicator.rank} of {communicator.size} ends all", file=sys.stderr)
            communicator.abort()
        raise
