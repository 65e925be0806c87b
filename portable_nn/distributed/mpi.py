"""MPI, by mpi4py: processes that `mpiexec` or `srun` starts."""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from portable_nn.compiler.signatures import HostArray
from portable_nn.distributed.nccl import OverNCCL

NO_MPI4PY = (
    "training over MPI was asked for, but the package mpi4py is not installed; install it, and an MPI "
    "library, with: pip install mpi4py mpich"
)
NO_LIBRARY = (
    "training over MPI was asked for, but mpi4py finds no MPI library ({}); install one, with: pip "
    "install mpich, or load the module of your cluster"
)


PASSING_ON = 0.5  # seconds for `mpiexec` to show what a process has printed: it drops the rest


class MPICommunicator:
    """See `Communicator`; `comm` is one of mpi4py."""

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI  # noqa: PLC0415

        self.comm, self.in_place, self.largest = comm, MPI.IN_PLACE, MPI.MAX
        self.rank, self.size = int(comm.Get_rank()), int(comm.Get_size())
        self.on_gpus = OverNCCL(comm)

    def __eq__(self, other: object) -> bool:
        """Whether both are of the same communicator of MPI: steps compiled for one serve both."""
        return isinstance(other, MPICommunicator) and self.comm == other.comm

    def __hash__(self) -> int:
        return hash((self.rank, self.size))

    def __reduce__(self) -> Any:
        raise TypeError(f"{self!r} cannot be pickled; accepted: to call mpi() in each process")

    def __repr__(self) -> str:
        return f"<MPI process {self.rank} of {self.size}>"

    def takes(self, flat: Any) -> bool:
        """Whether `flat` is an array of CuPy that need not go through the host."""
        return self.on_gpus.takes(flat)

    def sum_(self, flat: HostArray) -> None:
        """See `Communicator`."""
        if isinstance(flat, np.ndarray):
            self.comm.Allreduce(self.in_place, flat)
        else:
            self.on_gpus.sum_(flat)

    def broadcast_(self, flat: HostArray, root: int = 0) -> None:
        """See `Communicator`."""
        self.comm.Bcast(flat, root)

    def max(self, value: int) -> int:
        """See `Communicator`."""
        found = np.asarray([value], dtype=np.int64)
        self.comm.Allreduce(self.in_place, found, self.largest)
        return int(found[0])

    def abort(self) -> None:
        """See `Communicator`."""
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(PASSING_ON)
        self.comm.Abort(1)


def mpi(comm: Any = None) -> MPICommunicator:
    """The processes of MPI, for ``portable_nn.fit(..., communicator=mpi())``.

    Arrays of CuPy are added up by NCCL where each process has a GPU of its own, which
    ``cupy.cuda.Device(k).use()`` chooses; otherwise, and those of JAX, by way of the host.

    Without a launcher, ``python script.py``, that is a group of one process. An error that nobody
    catches in one of several processes, or in a thread of one, ends them all, by a `sys.excepthook` and
    a `threading.excepthook` that call the ones before and then abort: else the others would wait for
    ever.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        The group; by default ``MPI.COMM_WORLD``.

    Returns
    -------
    Communicator

    Raises
    ------
    ImportError
        If mpi4py, or an MPI library, is not installed.
    TypeError
        If `comm` is no communicator of mpi4py, or is COMM_NULL or has been freed.

    Examples
    --------
    In a script that ``mpiexec -n 4 python train.py`` starts, `size` is 4; without a launcher:

    >>> import portable_nn as pnn
    >>> group = pnn.distributed.mpi()
    >>> group.rank, group.size
    (0, 1)
    """
    try:
        from mpi4py import MPI  # noqa: PLC0415
    except ModuleNotFoundError:
        raise ImportError(NO_MPI4PY) from None
    except (ImportError, RuntimeError) as error:  # mpi4py looks for a library when MPI is imported
        raise ImportError(NO_LIBRARY.format(str(error).partition("\n")[0])) from error
    if comm is None:
        comm = MPI.COMM_WORLD
    if not isinstance(comm, MPI.Intracomm) or comm == MPI.COMM_NULL:  # as one that was freed is, too
        raise TypeError(
            f"`comm` is {comm!r}; accepted: a communicator of mpi4py, such as MPI.COMM_WORLD"
        )
    found = MPICommunicator(comm)
    if found.size > 1 and getattr(sys.excepthook, "func", None) is not end_all:
        sys.excepthook = functools.partial(end_all, found.abort, sys.excepthook)
        threading.excepthook = functools.partial(end_all, found.abort, threading.excepthook)
    return found


def end_all(abort: Callable[[], None], before: Callable[..., Any], *error: Any) -> None:
    """What happens to an error that nobody catches: it is shown, and all processes end."""
    before(*error)
    kind = getattr(error[0], "exc_type", error[0])  # that of a thread comes with its parts in one
    if not issubclass(kind, SystemExit):  # which ends a thread, and is no error there
        abort()
