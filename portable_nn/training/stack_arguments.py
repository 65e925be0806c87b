"""The arguments of fit that are about the networks of a stack: checked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from portable_nn.backends import owner, to_host
from portable_nn.network.objective import Batch
from portable_nn.network.parameters import Checked
from portable_nn.training.per_network import flat_list

Rows = np.ndarray[Any, Any]
Stack = tuple[int, ...]


def check_own_rows(rows: Any, stack: Stack, n: int) -> list[Rows]:
    """The rows of each network on the host, in the order of a flat stack; TypeError or ValueError.

    Each is a non-empty 1-d array of integers in 0..n-1, in which a row may come more than once.
    """
    if not stack:
        raise ValueError(
            "`rows` is given with one network; accepted: with a stack; of one network pass the rows of "
            "X and Y themselves"
        )
    if owner(rows) is not None:
        rows = to_host(rows)
    found = []
    for k, one in enumerate(flat_list("rows", rows, stack)):
        host = np.asarray(to_host(one) if owner(one) is not None else one)
        if host.ndim != 1 or host.size == 0 or host.dtype.kind not in "iu":
            raise ValueError(
                f"`rows` of network {k} has shape {host.shape} and dtype {host.dtype}; accepted: a "
                "non-empty 1-d array of integers, the numbers of its rows"
            )
        if host.min() < 0 or host.max() >= n:
            raise ValueError(
                f"`rows` of network {k} are {host.min()} to {host.max()}; accepted: 0 to {n - 1}"
            )
        found.append(host.astype(np.int64, copy=False))
    return found


def seeds_for_rows(seed: Any, stack: Stack) -> Any:
    """The seed of each network, where each has rows of its own: of one number, that number for each."""
    if isinstance(seed, np.random.Generator):
        raise TypeError(
            "`seed` is one generator, and each network has `rows` of its own; accepted: a whole number, "
            "or one or a generator for each network"
        )
    is_one = not isinstance(seed, (list, tuple, range)) and np.shape(seed) == ()
    return np.full(stack, seed).tolist() if is_one and stack else seed


def check_own_weights(batch: Batch, first: Rows, rows: Sequence[Rows]) -> None:
    """Raise ValueError where all the weights of a network's rows are zero; `first` as of `StackData`."""
    if batch.weight is None:
        return
    weight = to_host(batch.weight).reshape(-1)
    for k, own in enumerate(rows):
        if not weight[first[k] + own].any():
            raise ValueError(
                f"`sample_weight` is zero in all `rows` of network {k}; accepted: a weight > 0 in some"
            )


def why_together(checked: Checked, stream: bool, has_checkpoint: bool) -> str | None:
    """Why the networks of a stack have to be trained in step with one another; None if they need not."""
    if any(array.is_shared and array.kind != "constants" for _, array, _ in checked.net.arrays):
        return "of networks that share weights"
    if stream:
        return "with `stream`"
    return "with a Checkpoint or `resume`" if has_checkpoint else None


def check_in_step(why: str, stack: Stack, **given: Any) -> None:
    """Raise ValueError for an argument by which networks would not go in step with one another."""
    for name, value in given.items():
        if value is not None and value is not False:
            raise ValueError(
                f"`{name}` for each network of a stack {stack} {why}; accepted: it without that, or one "
                "network after the other"
            )
