"""Which arrays go over NCCL, with stand-ins for CuPy: what NCCL itself does is not run without a GPU."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from groups import has_mpi

import portable_nn as pnn
from portable_nn.distributed import nccl
from portable_nn.distributed.summing import Sum

pytestmark = pytest.mark.usefixtures("host_only")


class OnDevice:
    """A stand-in for an array of CuPy."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)


class Engine:
    """A stand-in for cupyx's NCCL, of two processes that have the same."""

    def __init__(self, size: int, rank: int, *, use_mpi: bool) -> None:
        assert (size, rank, use_mpi) == (1, 0, True)

    def all_reduce(self, given: Any, found: Any) -> None:
        found.values = 2 * given.values


@pytest.fixture
def stand_ins(monkeypatch) -> Any:
    if not has_mpi():
        pytest.skip("MPI is not installed (pip install mpi4py mpich)")
    found: Any = ModuleType("cupy")
    found.ndarray = OnDevice
    device = SimpleNamespace(pci_bus_id="0000:01:00.0")
    found.cuda = SimpleNamespace(nccl=SimpleNamespace(available=True), Device=lambda: device)
    distributed: Any = ModuleType("cupyx.distributed")
    distributed.NCCLBackend = Engine
    monkeypatch.setitem(sys.modules, "cupy", found)
    monkeypatch.setitem(sys.modules, "cupyx", ModuleType("cupyx"))
    monkeypatch.setitem(sys.modules, "cupyx.distributed", distributed)
    return found


def test_arrays_of_cupy_are_added_up_where_they_are(stand_ins):
    group, flat = pnn.distributed.mpi(), OnDevice([1.0, 2.0])
    total = Sum(group)
    assert total.takes(flat)
    assert not total.takes(np.zeros(2))
    assert not total.takes([1.0])
    total(flat)
    assert flat.values.tolist() == [2.0, 4.0]
    on_host = np.asarray([1.0, 2.0])
    total(on_host)
    assert on_host.tolist() == [1.0, 2.0]


def test_they_go_through_the_host_without_nccl(stand_ins):
    stand_ins.cuda.nccl.available = False
    assert not Sum(pnn.distributed.mpi()).takes(OnDevice([1.0]))


@pytest.mark.parametrize("found", [[("here", "01"), ("here", "01")], [("here", "01"), None]])
def test_they_go_through_the_host_unless_each_process_has_a_gpu(found, stand_ins, monkeypatch):
    monkeypatch.setattr(nccl, "gpu_of", lambda comm: ("here", "01"))
    group = pnn.distributed.mpi()
    group.on_gpus.comm = SimpleNamespace(allgather=lambda mine: found)
    assert not Sum(group).takes(OnDevice([1.0]))


def test_communicators_of_the_same_processes_are_equal(stand_ins):
    one, other = pnn.distributed.mpi(), pnn.distributed.mpi()
    assert one == other
    assert hash(one) == hash(other)
    assert one != pnn.distributed.mpi(one.comm.Dup())
    assert one != pnn.distributed.Alone()
