"""Sums over processes of arrays of any library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portable_nn.backends import Backend
from portable_nn.compiler.exchange import unpacked
from portable_nn.distributed.communicator import Communicator
from portable_nn.equations import Array


class Sum:
    """Adds up a flat array over the processes, in place; see `portable_nn.backends.scans.Exchange`."""

    def __init__(self, communicator: Communicator) -> None:
        self.communicator = communicator

    def __call__(self, flat: Any) -> None:
        self.communicator.sum_(flat)

    def takes(self, flat: Any) -> bool:
        """Whether the communicator takes this array, which is on a device."""
        takes = getattr(self.communicator, "takes", None)
        return takes is not None and bool(takes(flat))


def summed(backend: Backend, communicator: Communicator | None, arrays: Sequence[Array]) -> list[Array]:
    """The arrays, of one dtype, added up over the processes by way of the host."""
    if communicator is None:
        return [*arrays]
    flat = np.concatenate([np.reshape(backend.to_numpy(x), -1) for x in arrays])
    communicator.sum_(flat)
    parts = unpacked(np, flat, [tuple(x.shape) for x in arrays])
    return [backend.asarray(part, x.dtype) for part, x in zip(parts, arrays, strict=True)]
