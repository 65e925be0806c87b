"""Where the elements of an array lie in the memory that it looks at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from portable_nn.compiler.plan import base
from portable_nn.compiler.trace import Node

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Geometry:
    """Element (i, j, ...) lies `offset` + i strides[0] + j strides[1] + ... elements into the memory."""

    shape: Shape
    strides: Shape
    offset: int = 0

    @property
    def is_one_row(self) -> bool:
        """Whether the elements lie one after another, in their order."""
        return not self.offset and same_places(self.strides, in_one_row(self.shape), self.shape)


def in_one_row(shape: Shape) -> Shape:
    """The strides, in elements, of an array whose elements lie one after another."""
    return tuple(math.prod(shape[d + 1 :]) for d in range(len(shape)))


def same_places(strides: Shape, others: Shape, shape: Shape) -> bool:
    """Whether both strides lead to the same elements; those of an axis of one element never matter."""
    return all(s == o or n == 1 for s, o, n in zip(strides, others, shape, strict=True))


def geometry_of(node: Node, strides: Mapping[Node, Shape]) -> Geometry:
    """Where the elements of `node` lie in the memory of its base.

    `strides` (in elements) says how those inputs lie that do not lie in one row.
    """
    root = base(node)
    start = laid_out(root.shape, root.dtype, strides.get(root, in_one_row(root.shape)))
    seen, size = view_of(node, start), root.dtype.itemsize
    offset = (address(seen) - address(start)) // size
    return Geometry(node.shape, tuple(s // size for s in seen.strides), offset)


def laid_out(shape: Shape, dtype: np.dtype[Any], strides: Shape) -> Any:
    """An array of these strides (in elements) whose memory is not there, and is never touched."""
    return as_strided(np.empty(1, dtype), shape, [s * dtype.itemsize for s in strides])


def view_of(node: Node, start: Any) -> Any:
    """What the views between `node` and its base make of `start`."""
    return node.detail(view_of(node.sources[0], start)) if node.kind == "view" else start


def address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def place(array: Geometry, shape: Shape, index: str) -> str:
    """Where in its memory the array, broadcast to `shape`, has element number `index`: in C.

    Axes over which the elements go on evenly are taken together, so that it divides as seldom as it can.
    """
    strides = [0] * (len(shape) - len(array.shape)) + [
        0 if n == 1 else s for n, s in zip(array.shape, array.strides, strict=True)
    ]
    runs: list[list[int]] = []  # [how many, stride], the last axis first
    for n, stride in zip(reversed(shape), reversed(strides), strict=True):
        if n == 1:
            continue
        if runs and stride == runs[-1][0] * runs[-1][1]:
            runs[-1][0] *= n
        else:
            runs.append([n, stride])
    terms, before = ([str(array.offset)] if array.offset else []), 1
    for at, (n, stride) in enumerate(runs):
        if stride:
            digit = index if before == 1 else f"({index} / {before})"
            digit = digit if at == len(runs) - 1 else f"({digit} % {n})"
            far = "LL" if abs(stride) * n >= 2**31 else ""  # further than an int counts
            terms.append(digit if stride == 1 else f"{digit} * {stride}{far}")
        before *= n
    return " + ".join(terms) or "0"
