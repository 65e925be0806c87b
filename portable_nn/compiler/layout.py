"""Memory layouts: the offset and the strides with which an array reads the memory of its base.

They are known before any array exists: inputs and computed arrays are taken to be contiguous (unless
their strides are given), and a view is applied to a stand-in for its base.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from portable_nn.compiler.graph import Node, apply_views, base

Shape: TypeAlias = tuple[int, ...]
Strides: TypeAlias = tuple[int, ...]  # in elements, as everywhere in the compiler; not in bytes


@dataclass(frozen=True)
class Layout:
    """Element (i, j, ...) is at ``offset + i * strides[0] + j * strides[1] + ...``, in elements."""

    shape: Shape
    strides: Strides
    offset: int = 0

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements follow one another in row-major order."""
        return same_elements(self.strides, contiguous_strides(self.shape), self.shape)

    @property
    def repeats(self) -> bool:
        """Whether an element stands at several indices, as in what `broadcast_to` gives."""
        return any(s == 0 and n > 1 for s, n in zip(self.strides, self.shape, strict=True))

    @property
    def is_row_or_column_major(self) -> bool:
        """Whether the elements follow one another in row-major or in column-major order."""
        turned = Layout(self.shape[::-1], self.strides[::-1])
        return self.is_contiguous or turned.is_contiguous


def contiguous_strides(shape: Shape) -> Strides:
    """The strides of a contiguous array of this shape."""
    return tuple(math.prod(shape[d + 1 :]) for d in range(len(shape)))


def same_elements(strides: Strides, others: Strides, shape: Shape) -> bool:
    """Whether both strides lead to the same elements (the stride of an axis of length 1 is not used)."""
    if 0 in shape:
        return True
    return all(s == o or n == 1 for s, o, n in zip(strides, others, shape, strict=True))


def layout_of(node: Node, strides: Mapping[Node, Strides] | None = None) -> Layout:
    """The layout of the array of `node` in the memory of its base.

    `strides` holds those of the inputs that are not contiguous.
    """
    root = base(node)
    known = (strides or {}).get(root, contiguous_strides(root.shape))
    if node is root:
        return Layout(node.shape, known)
    size = root.dtype.itemsize
    start = as_strided(np.empty(1, root.dtype), root.shape, [s * size for s in known])  # never read
    view = apply_views(node, start)
    offset = (address(view) - address(start)) // size
    return Layout(node.shape, tuple(s // size for s in view.strides), offset)


def address(array: Any) -> int:
    """The address of a NumPy array's first element."""
    return int(array.__array_interface__["data"][0])


def merged_axes(shape: Shape, layouts: Mapping[Node, Layout]) -> tuple[Shape, dict[Node, Shape]]:
    """`shape` with as few axes as possible, and the shape of each array that broadcasts to it likewise.

    Neighbouring axes become one where every array has one stride for both, or repeats over both. All
    shapes that are returned have the same number of axes, one at least.
    """
    padded = {node: broadcast_strides(layout, shape) for node, layout in layouts.items()}
    lengths: list[int] = []  # of the merged axes, the last one first
    strides: list[dict[Node, int]] = []
    for axis in reversed(range(len(shape))):
        if shape[axis] == 1:
            continue
        here = {node: of[axis] for node, of in padded.items()}
        if lengths and all(here[node] == s * lengths[-1] for node, s in strides[-1].items()):
            lengths[-1] *= shape[axis]
        else:
            lengths.append(shape[axis])
            strides.append(here)
    if not lengths:
        return (1,), dict.fromkeys(layouts, (1,))
    lengths, strides = lengths[::-1], strides[::-1]
    shapes = {
        n: tuple(k if of[n] else 1 for k, of in zip(lengths, strides, strict=True)) for n in padded
    }
    return tuple(lengths), shapes


def broadcast_strides(layout: Layout, shape: Shape) -> Strides:
    """The strides of the array broadcast to `shape`: 0 along each axis over which it repeats."""
    own = (0 if n == 1 else s for n, s in zip(layout.shape, layout.strides, strict=True))
    return (*(0,) * (len(shape) - len(layout.shape)), *own)
