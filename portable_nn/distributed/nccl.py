"""NCCL, by cupyx.distributed: arrays of CuPy added up where they are, by the processes of MPI."""

from __future__ import annotations

import sys
from typing import Any


class OverNCCL:
    """Sums over the processes of a communicator of MPI, each of which has a GPU of its own.

    Not yet run on a GPU.
    """

    def __init__(self, comm: Any) -> None:
        self.comm, self.was_asked, self.engine = comm, False, None

    def takes(self, flat: Any) -> bool:
        """Whether `flat` is an array of CuPy, and NCCL can be used; all processes ask."""
        cupy = sys.modules.get("cupy")
        if cupy is None or not isinstance(flat, cupy.ndarray):
            return False
        if not self.was_asked:
            self.engine, self.was_asked = engine_for(self.comm), True
        return self.engine is not None

    def sum_(self, flat: Any) -> None:
        """Overwrite `flat`, which it `takes`, with the sum over all processes."""
        self.engine.all_reduce(flat, flat)  # type: ignore[attr-defined]


def engine_for(comm: Any) -> Any:
    """cupyx's NCCL for these processes; None where it is missing, or where two share a GPU."""
    found = comm.allgather(gpu_of(comm))
    if None in found or len(set(found)) < len(found):
        return None
    from cupyx.distributed import NCCLBackend  # noqa: PLC0415

    return NCCLBackend(comm.Get_size(), comm.Get_rank(), use_mpi=True)


def gpu_of(comm: Any) -> tuple[str, str] | None:
    """The machine and the GPU of this process; None where NCCL cannot be used.

    cupyx knows the group of all processes of MPI only.
    """
    import cupy  # noqa: PLC0415
    from mpi4py import MPI  # noqa: PLC0415

    if not cupy.cuda.nccl.available or MPI.Comm.Compare(comm, MPI.COMM_WORLD) > MPI.CONGRUENT:
        return None
    return MPI.Get_processor_name(), cupy.cuda.Device().pci_bus_id
