"""Orders of the rows of an epoch, for `fit` to be given as `epoch_order`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_nn.checks import check_whole


@dataclass(frozen=True)
class WindowShuffle:
    """An order for data out of core, in which rows that are stored together are read together.

    The rows are cut into chunks of neighbours. Each epoch draws an order of the chunks, takes `window`
    of them at a time, and draws an order of the rows of these. Every row comes once in an epoch, and is
    read about once: a permutation of all rows reads all of a store for every few batches.

    A batch is drawn from `window` chunks, not from all rows. `fit` keeps the rows of a window in memory:
    ``window * chunk`` of them. The larger the window, the closer to a permutation; with one window for
    all rows it is one. Where neighbours are alike (rows sorted by class, or by time) a window should
    have tens of chunks.

    Parameters
    ----------
    chunk : int
        The number of neighbouring rows that are read together, >= 1: best that of the store's own chunks
        or row groups, or a multiple.
    window : int
        The number of chunks whose rows are mixed, >= 1.
    seed : int
        The order of an epoch is a function of this seed, the number of the epoch and the number of rows:
        the same on every backend, and after a training was resumed.

    Raises
    ------
    TypeError, ValueError
        If an argument is no whole number in its range.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> order = pnn.WindowShuffle(chunk=3, window=2, seed=1)
    >>> sorted(order(0, 8).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7]

    ``pnn.fit(net, params, X, Y, stream=True, epoch_order=order)`` reads X and Y in this order.
    """

    chunk: int = 1024
    window: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "chunk", check_whole("chunk", self.chunk, 1))
        object.__setattr__(self, "window", check_whole("window", self.window, 1))
        object.__setattr__(self, "seed", check_whole("seed", self.seed, 0))

    def __call__(self, epoch: int, n: int) -> np.ndarray[Any, Any]:
        """The rows of epoch 0, 1, ... in their order, out of n."""
        random = np.random.default_rng([self.seed, epoch])
        starts = random.permutation(-(-n // self.chunk)) * self.chunk
        found, done = np.empty(n, np.int64), 0
        for k in range(0, len(starts), self.window):
            rows = (starts[k : k + self.window, None] + np.arange(self.chunk)).ravel()
            rows = rows[rows < n]  # the last chunk may be shorter
            found[done : done + len(rows)] = random.permutation(rows)
            done += len(rows)
        return found
