"""What several processes compare while they train: orders, rates, and what they have learned."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.backends import Backend
from portable_nn.compiler.signatures import HostArray
from portable_nn.distributed import Communicator
from portable_nn.distributed.agreement import are_equal, failing_together, of_root
from portable_nn.equations import Parameters
from portable_nn.training.description import Training
from portable_nn.training.dropout import Rates

CLOSE = 1e-3  # relative: processors that round differently drift apart by less


def agreed_rows(training: Training, epoch: int, n: int, t: int) -> HostArray:
    """The rows of epoch 0, 1, ... in their order, see `Training.rows`; `t` updates were made before.

    Of several processes each takes its part of a batch: if one had another order, rows would be learned
    from twice, and others never. What they share of a schedule is its value at the first update.

    Raises ValueError, in all processes, where one has other rows or rates than the first.
    """
    group = training.communicator
    if group is None:
        return training.rows(epoch, n)
    with failing_together(group):
        rows = training.rows(epoch, n)
        rates = repr((training.learning_rate(t), Rates(training.dropout).at(t)))
        parts = {
            "`epoch_order`": zlib.crc32(np.asarray(rows, dtype=np.int64).tobytes()),
            "`schedule`, or that of `dropout`,": zlib.crc32(rates.encode()),
        }
    if are_equal(group, zlib.crc32(repr(parts).encode())):
        return rows
    first = of_root(group, parts)
    with failing_together(group):
        for name, value in parts.items():
            if value != first[name]:
                raise ValueError(
                    f"{name} gave in process {group.rank} something else than in process 0, for epoch "
                    f"{epoch + 1}; accepted: functions that give the same in all processes"
                )
    return rows


def check_same_params(
    group: Communicator | None, epoch: int, backend: Backend, params: Parameters
) -> None:
    """Raise ValueError, in all processes, where one has learned something else than the first.

    They compute the same from the same sums: what differs has come from outside, such as a schedule.
    Where processors round differently, differences of rounding are no reason to stop.
    """
    if group is None:
        return
    mine = [backend.to_numpy(theta) for theta in trees.leaves(params)]
    if are_equal(group, checksum(mine)):
        return
    first = of_root(group, mine)
    with failing_together(group):
        if not all(map(are_close, mine, first)):
            raise ValueError(
                f"process {group.rank} has other parameters than process 0 after epoch {epoch}: a "
                "`schedule`, a callback, or another function has done something else there; accepted: "
                "functions that do the same in all processes"
            )


def checksum(arrays: list[Any]) -> int:
    """One number for the values of all arrays; NaN is NaN, whatever its bits are."""
    found = 0
    for array in arrays:
        is_finite = np.isfinite(array)
        found = zlib.crc32((array if is_finite.all() else is_finite).tobytes(), found)
    return found


def are_close(mine: HostArray, other: HostArray) -> bool:
    """Whether two arrays differ by no more than processors that round differently may."""
    largest = np.max(np.abs(other), initial=0, where=np.isfinite(other))
    return bool(np.allclose(mine, other, rtol=0, atol=CLOSE * largest, equal_nan=True))
