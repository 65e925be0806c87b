"""Several processes that train one network: what they add up, agree on, and how they end together.

A `Communicator` is an engine that exists: MPI by `mpi()`, torch.distributed by `torch()`.
"""

from portable_nn.distributed.communicator import Alone, Communicator
from portable_nn.distributed.mpi import mpi
from portable_nn.distributed.torch_groups import torch

__all__ = ["Alone", "Communicator", "mpi", "torch"]
