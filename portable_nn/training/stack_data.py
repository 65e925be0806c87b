"""The data of a stack of networks: one set of arrays, of which each network has rows of its own."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from portable_nn import trees
from portable_nn.backends import Backend
from portable_nn.equations import Array
from portable_nn.network.objective import Batch
from portable_nn.training.data import (
    Chunk,
    DeviceSource,
    Rows,
    Source,
    batches_of,
    mean_of,
    parts,
    slices_of,
)
from portable_nn.training.steps import gathered

Members = np.ndarray[Any, Any]  # numbers of networks of a flat stack, (k,)


class RowsSource:
    """See `Source`: arrays on the device, which all networks share, and the rows of each of them.

    `rows` has those of X, of Y and of the weights, (k, n) each: they differ where one array is shared by
    networks that have another for themselves.
    """

    is_resident = True

    def __init__(self, backend: Backend, data: Batch, rows: tuple[Rows, Rows, Rows]) -> None:
        self.backend, self.rows = backend, rows
        self.n = int(rows[0].shape[-1])
        weight = data.weight
        if weight is not None:
            weight = mean_of(backend, gathered(backend.xp, weight, self.on_device(rows[2]), -1))
        self.mean_weight, self.has_weights = weight, data.weight is not None
        self.all = data._replace(mean_weight=weight)

    def chunks(self, order: Rows, batch_size: int, most: int) -> Iterator[Chunk]:
        for part, size in parts(order.shape[-1], batch_size, most):
            yield self.all, self.batches(order[..., part], size)

    def slices(self, size: int, rows: slice | None = None) -> Iterator[Batch]:
        xp, (X, Y, weight, *others) = self.backend.xp, self.all
        for part in slices_of(self.n, size, rows):
            of_X, of_Y, of_weight = (self.on_device(own[:, part]) for own in self.rows)
            w = None if weight is None else gathered(xp, weight, of_weight, -1)
            yield Batch(gathered(xp, X, of_X, -2), gathered(xp, Y, of_Y, -2), w, *others)

    def used(self, results: Any) -> None:
        """Nothing to do: the data stay where they are."""

    def on_device(self, rows: Rows) -> Array:
        """Numbers of rows where the data is."""
        return self.backend.asarray(rows, dtype=self.backend.index_dtype())

    def batches(self, places: Rows, size: int) -> Rows | tuple[Rows, ...]:
        """The batches of X, Y and the weights; one array where their rows are the same."""
        first, *others = self.rows
        which = self.rows[:1] if all(rows is first for rows in others) else self.rows
        found = tuple(batches_of(taken(rows, places), size) for rows in which)
        return found if len(found) > 1 else found[0]


def taken(rows: Rows, places: Rows) -> Rows:
    """The rows at these places: the same for all networks, or those of each."""
    return rows[:, places] if places.ndim == 1 else np.take_along_axis(rows, places, axis=1)


class StackData(NamedTuple):
    """Data that a flat stack of K networks learns from.

    Attributes
    ----------
    backend : Backend
    all : Batch
        The rows of all networks, X (N, n_0), Y (M, n_L) and weights (P,): no more axes.
    first : tuple of array (K,)
        Where the rows of each network begin in X, Y and the weights: 0 in what all of them share.
    rows : list of array, or None
        The rows of each network, counted from there; None: all n of them.
    n : int
        The number of rows, where `rows` is None.
    """

    backend: Backend
    all: Batch
    first: tuple[Rows, Rows, Rows]
    rows: Sequence[Rows] | None
    n: int

    def count(self, network: int) -> int:
        """How many rows a network has."""
        return self.n if self.rows is None else len(self.rows[network])

    def of(self, members: Members) -> Source:
        """The source of the batches of these networks, which have equally many rows each."""
        own = [first[members] for first in self.first]
        if self.rows is None and not any(first.any() for first in self.first):  # all share all rows
            return DeviceSource(self.all._replace(mean_weight=mean_of(self.backend, self.all.weight)))
        if self.rows is None:
            base = np.broadcast_to(np.arange(self.n), (len(members), self.n))
        else:
            base = np.stack([self.rows[k] for k in members])
        moved = [base + first[:, None] if first.any() else base for first in own]
        of_X, of_Y, of_weight = moved
        is_weighted = self.all.weight is not None
        if all(np.array_equal(own[0], first) for first in own[1 : 2 + is_weighted]):
            of_Y = of_weight = of_X
        return RowsSource(self.backend, self.all, (of_X, of_Y, of_weight))


def stack_data(
    backend: Backend, data: Batch, stack: tuple[int, ...], rows: Sequence[Rows] | None = None
) -> StackData:
    """The data of a stack, which has been checked; an array may have axes of the stack, or lack them."""
    xp, n = backend.xp, int(data.X.shape[-2])
    flat: list[Any] = []
    firsts = []
    arrays: list[Any] = [data.X, data.Y, data.weight]
    for array, own in zip(arrays, (2, 2, 1), strict=True):
        lead = () if array is None else tuple(array.shape[: array.ndim - own])
        blocks = np.arange(math.prod(lead)).reshape(lead)
        firsts.append(np.broadcast_to(blocks, stack).reshape(-1) * n)
        shape = () if array is None else (math.prod(lead) * n, *array.shape[array.ndim - own + 1 :])
        flat.append(xp.reshape(array, shape) if lead else array)
    X, Y, weight = flat
    batch = data._replace(X=X, Y=Y, weight=weight)
    return StackData(backend, batch, (firsts[0], firsts[1], firsts[2]), rows, n)


def joined(backend: Backend, each: Sequence[Batch]) -> tuple[Batch, Rows]:
    """The different ones among these batches behind one another, and where each begins.

    They are alike in all but their rows.
    """
    known: list[Batch] = []
    which = [place_among(backend, known, batch) for batch in each]
    starts = np.cumsum([0, *(batch.X.shape[0] for batch in known)])[which]
    if len(known) == 1:
        return known[0], starts
    columns: list[list[Any]] = [[batch[i] for batch in known] for i in range(3)]
    put: list[Any] = [None if c[0] is None else backend.xp.concat(c, axis=0) for c in columns]
    X, Y, weight = put

    return known[0]._replace(X=X, Y=Y, weight=weight), starts


def place_among(backend: Backend, known: list[Batch], batch: Batch) -> int:
    """The place of a batch among the known ones, to which it is added if it is another one."""
    for place, other in enumerate(known):
        pairs = list(zip(batch[:3], other[:3], strict=True))
        if all(is_same(backend, one, two) for one, two in pairs):
            return place
    known.append(batch)
    return len(known) - 1


def is_same(backend: Backend, one: Array | None, two: Array | None) -> bool:
    """Whether two arrays hold the same values; the first row decides as a rule."""
    if one is two or one is None or two is None:
        return one is two
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    same = functools.partial(all_equal, backend)
    return same(one[0, ...], two[0, ...]) and same(one, two)


def all_equal(backend: Backend, one: Array, two: Array) -> bool:
    """Whether all elements are equal."""
    return bool(backend.to_numpy(backend.xp.all(one == two)))


def some_of(backend: Backend, tree: trees.Tree, which: Members | Sequence[int]) -> trees.Tree:
    """Arrays of some of the networks, in this order: (k, ...) of (K, ...); constants are copied."""
    xp, index = backend.xp, backend.asarray(which, dtype=backend.index_dtype())
    copied = trees.map(lambda array: array if array.ndim > 2 else xp.asarray(array, copy=True), tree)
    return map_own(lambda array: xp.take(array, index, axis=0), copied)


def behind_one_another(backend: Backend, several: Sequence[trees.Tree]) -> trees.Tree:
    """Arrays of several stacks as those of one."""
    if len(several) == 1:
        return several[0]
    return map_own(lambda *each: backend.xp.concat(each, axis=0), *several)


def map_own(change: Callable[..., Array], *several: trees.Tree) -> trees.Tree:
    """Trees whose arrays are changed, but for those of two axes: constants, which networks share."""
    return trees.map(lambda *each: each[0] if each[0].ndim == 2 else change(*each), *several)
