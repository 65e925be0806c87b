"""Parts of rows that are split over several devices: some of each one's own, so that none is moved."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from portable_nn.backends.base import Backend
from portable_nn.equations import Array


def parts_of_each(
    backend: Backend, arrays: tuple[Array, ...], axes: tuple[int, ...], shards: int, size: int
) -> Iterator[list[Array]]:
    """The arrays in parts: `size` rows of each device's own, along the axes, which are negative.

    Of each array as many rows are one device's, one after the other: n / `shards`.
    """
    count = arrays[0].shape[axes[0]] // shards
    for start in range(0, count, size):
        rows = np.arange(start, min(start + size, count))
        index = backend.asarray(rows, dtype=backend.index_dtype())
        yield [taker(backend, axis, shards)(x, index) for x, axis in zip(arrays, axes, strict=True)]


@functools.lru_cache(maxsize=64)
def taker(backend: Backend, axis: int, shards: int) -> Callable[..., Any]:
    """``take(x, rows)``: of each device's own rows those of these numbers."""
    xp = backend.xp

    def take(x: Array, rows: Array) -> Array:
        lead, n, rest = x.shape[:axis], x.shape[axis], x.shape[axis:][1:]
        own = xp.reshape(x, (*lead, shards, n // shards, *rest))
        found: Array = xp.reshape(xp.take(own, rows, axis=axis), (*lead, -1, *rest))
        return found

    take.steady = True  # type: ignore[attr-defined]
    return backend.compile(take)


def in_order(backend: Backend, parts: list[Array], shards: int) -> Array:
    """All rows in order, along the axis -2, of what was computed of each of those parts."""
    xp = backend.xp
    own = [xp.reshape(A, (*A.shape[:-2], shards, -1, A.shape[-1])) for A in parts]
    found = xp.concat(own, axis=-2)
    ordered: Array = xp.reshape(found, (*found.shape[:-3], -1, found.shape[-1]))
    return ordered
