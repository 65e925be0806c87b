"""Stand-ins for arrays while a step is traced: shape, dtype and strides of what NumPy would compute.

NumPy adds up, and BLAS multiplies, in an order that depends on how the operands lie in memory. So the
strides are followed too: results come in the memory order that NumPy chooses for them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.lib.stride_tricks import as_strided

from portable_nn.compiler.graph import Node, apply_views, base
from portable_nn.compiler.signatures import HostArray

Shape: TypeAlias = tuple[int, ...]
Order: TypeAlias = tuple[int, ...]  # the axes, from the largest stride to the smallest


@functools.lru_cache(maxsize=4096)
def stand_in(shape: Shape, dtype: np.dtype[Any], order: Order | None = None) -> HostArray:
    """An array without values (its elements must not be read), in row-major order or that given."""
    strides, step = [0] * len(shape), dtype.itemsize
    for axis in reversed(range(len(shape)) if order is None else order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return as_strided(np.empty(1, dtype), shape, strides, writeable=False)


def stand_in_for(array: HostArray) -> HostArray:
    """A stand-in with the strides of a real array."""
    return as_strided(np.empty(1, array.dtype), array.shape, array.strides, writeable=False)


def order_of(shape: Shape, operands: Sequence[Any]) -> Order:
    """The memory order in which NumPy allocates the result, of this shape, of an operation.

    Source: `npyiter_find_best_axis_ordering` of NumPy. The axes are sorted by the operands' strides;
    where operands disagree, row-major order wins, and an axis over which one repeats does not count.
    """
    arrays = [a for a in operands if isinstance(a, np.ndarray) and a.ndim]
    if all(a.flags.c_contiguous for a in arrays):
        return tuple(range(len(shape)))
    strides = [
        (0,) * (len(shape) - a.ndim)
        + tuple(abs(s) * (n > 1) for s, n in zip(a.strides, a.shape, strict=True))
        for a in arrays
    ]
    order: list[int] = []  # from the smallest stride to the largest
    for axis in reversed(range(len(shape))):
        place = len(order)
        for i in reversed(range(len(order))):
            pairs = [(of[axis], of[order[i]]) for of in strides if of[axis] and of[order[i]]]
            if pairs and any(inner <= outer for outer, inner in pairs):
                break
            if pairs:
                place = i
        order.insert(place, axis)
    return tuple(reversed(order))


@functools.lru_cache(maxsize=4096)
def result_dtype(function: Callable[..., Any], operands: tuple[Any, ...]) -> np.dtype[Any]:
    """The dtype of an elementwise result; operands are dtypes, or types and texts of Python numbers."""
    one = [
        np.ones((), x) if isinstance(x, np.dtype) else x[0](x[1] if x[0] is not bool else x[1] == "True")
        for x in operands
    ]
    with np.errstate(all="ignore"):
        found: np.dtype[Any] = function(*one).dtype
    return found


def elementwise(function: Callable[..., Any], values: Sequence[Any]) -> HostArray:
    """A stand-in for ``function(*values)``; the values are stand-ins and Python numbers."""
    kinds = tuple(v.dtype if isinstance(v, np.ndarray) else (type(v), repr(v)) for v in values)
    shape = broadcast_shape(tuple(v.shape for v in values if isinstance(v, np.ndarray)))
    return stand_in(shape, result_dtype(function, kinds), order_of(shape, values))


@functools.lru_cache(maxsize=4096)
def broadcast_shape(shapes: tuple[Shape, ...]) -> Shape:
    """The shape to which all broadcast; raises ValueError if there is none."""
    return np.broadcast_shapes(*shapes)


def cast(x: HostArray, dtype: np.dtype[Any]) -> HostArray:
    """A stand-in for ``x.astype(dtype)``."""
    if any(s == 0 and n > 1 for s, n in zip(x.strides, x.shape, strict=True)):
        raise ValueError("a cast of an array that repeats, whose memory order follows other rules")
    return stand_in(x.shape, dtype, order_of(x.shape, [x]))


def product(A: HostArray, B: HostArray) -> HostArray:
    """A stand-in for ``A @ B``."""
    if A.ndim < 2 or B.ndim < 2 or A.shape[-1] != B.shape[-2]:
        raise ValueError(f"a product of {A.shape} and {B.shape}")
    dtype = result_dtype(np.multiply, (A.dtype, B.dtype))
    stack = broadcast_shape((A.shape[:-2], B.shape[:-2]))
    outer = [X[..., 0, 0] if X.size else stand_in(X.shape[:-2], X.dtype) for X in (A, B)]
    order = (*order_of(stack, outer), len(stack), len(stack) + 1)
    return stand_in((*stack, A.shape[-2], B.shape[-1]), dtype, order)


def have_inner_size_1(A: Any, B: Any) -> bool:
    """Whether the sums of ``A @ B``, both of one floating dtype, have one term each."""
    if not (isinstance(A, np.ndarray) and isinstance(B, np.ndarray) and A.ndim >= 2 and B.ndim >= 2):
        return False
    return bool(A.shape[-1] == B.shape[-2] == 1 and A.dtype == B.dtype and A.dtype.kind == "f")


def reduction(ufunc: np.ufunc, x: HostArray, axis: Any, keepdims: bool) -> HostArray:
    """A stand-in for ``ufunc.reduce(x, axis, keepdims=keepdims)``."""
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    if not math.prod(x.shape) and ufunc.identity is None:
        raise ValueError(f"{ufunc.__name__} of no elements")
    dtype = np.dtype(bool) if ufunc is np.logical_and else x.dtype
    order = [a for a in order_of(x.shape, [x]) if keepdims or a not in axes]
    left = [a for a in range(x.ndim) if keepdims or a not in axes]
    shape = tuple(1 if a in axes else x.shape[a] for a in left)
    return stand_in(shape, dtype, tuple(left.index(a) for a in order))


def sample(node: Node) -> HostArray:
    """Zeros that are in memory as the array of `node` is."""
    root = base(node)
    zeros: HostArray = apply_views(node, np.zeros(root.shape, root.dtype))
    return zeros
