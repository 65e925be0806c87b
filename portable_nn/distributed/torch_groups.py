"""torch.distributed: processes that `torchrun` starts, over gloo on CPUs and NCCL on GPUs."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any

import numpy as np

from portable_nn.compiler.signatures import HostArray
from portable_nn.distributed.communicator import Alone

LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what a launcher sets


class TorchCommunicator:
    """See `Communicator`; `group` is one of torch.distributed, None for all processes.

    Tensors on a device are handed over as they are.
    """

    def __init__(self, group: Any) -> None:
        import torch.distributed as dist  # noqa: PLC0415

        self.dist, self.group = dist, group
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)

    def __eq__(self, other: object) -> bool:
        """Whether both are of the same group: steps compiled for one serve both."""
        mine = (self.group, self.rank, self.size)
        return isinstance(other, TorchCommunicator) and mine == (other.group, other.rank, other.size)

    def __hash__(self) -> int:
        return hash((self.rank, self.size))

    def __reduce__(self) -> Any:
        raise TypeError(f"{self!r} cannot be pickled; accepted: to call torch() in each process")

    def __repr__(self) -> str:
        return f"<torch.distributed process {self.rank} of {self.size}>"

    def takes(self, flat: Any) -> bool:
        """Whether `flat` is a tensor."""
        import torch  # noqa: PLC0415

        return isinstance(flat, torch.Tensor)

    def tensor(self, flat: Any) -> Any:
        """A tensor that has the memory of `flat`."""
        import torch  # noqa: PLC0415

        return torch.from_numpy(flat) if isinstance(flat, np.ndarray) else flat

    def sum_(self, flat: HostArray) -> None:
        """See `Communicator`."""
        self.dist.all_reduce(self.tensor(flat), group=self.group)

    def broadcast_(self, flat: HostArray, root: int = 0) -> None:
        """See `Communicator`."""
        self.dist.broadcast(self.tensor(flat), group=self.group, group_src=root)

    def max(self, value: int) -> int:
        """See `Communicator`."""
        found = np.asarray([value], dtype=np.int64)
        self.dist.all_reduce(self.tensor(found), op=self.dist.ReduceOp.MAX, group=self.group)
        return int(found[0])

    def abort(self) -> None:
        """End this process; its launcher, and the connections that break, end the others."""
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def close() -> None:
    """Close the connections of the default group, unless somebody has."""
    import torch.distributed as dist  # noqa: PLC0415

    if dist.is_initialized():
        dist.destroy_process_group()


def torch(group: Any = None) -> TorchCommunicator | Alone:
    """The processes of torch.distributed, for ``portable_nn.fit(..., communicator=torch())``.

    Started by `torchrun`, or with its variables of the environment, the default group is made unless it
    is there: gloo for arrays on the CPU, whatever library they are of, and NCCL for tensors on GPUs.
    Without a launcher, ``python script.py``, that is a group of one process.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup, optional
        The group; by default all processes.

    Returns
    -------
    Communicator

    Raises
    ------
    ImportError
        If torch is not installed, or is a build without torch.distributed.
    ValueError
        If the group has no engine for the CPU, over which processes agree on what they do.

    Examples
    --------
    In a script that ``torchrun --nproc-per-node 4 train.py`` starts, `size` is 4; without a launcher:

    >>> import portable_nn as pnn
    >>> group = pnn.distributed.torch()
    >>> group.rank, group.size
    (0, 1)
    """
    try:
        import torch as library  # noqa: PLC0415
        import torch.distributed as dist  # noqa: PLC0415
    except ModuleNotFoundError:
        raise ImportError(
            "training over torch.distributed was asked for, but the package torch is not installed; "
            "install it with: pip install torch"
        ) from None
    if not dist.is_available():
        raise ImportError("this build of torch has no torch.distributed; install another one")
    if not dist.is_initialized():
        if group is None and not all(name in os.environ for name in LAUNCHED):
            return Alone()
        engines = "cpu:gloo,cuda:nccl" if library.cuda.is_available() else "gloo"
        dist.init_process_group(engines)
        atexit.register(close)  # else its threads may end the process with an error
    engines = str(dist.get_backend_config(group))
    if "cpu:" not in engines:
        raise ValueError(
            f"the process group has the engines {engines!r}; accepted: one with gloo for the CPU too: "
            "torch.distributed.init_process_group('cpu:gloo,cuda:nccl')"
        )
    return TorchCommunicator(group)
