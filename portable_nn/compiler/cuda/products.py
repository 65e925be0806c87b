"""Which matrix products cuBLAS can compute without a copy of an operand, and how it is told of them."""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_nn.compiler.cuda.expressions import refuse
from portable_nn.compiler.layout import Layout, Shape, contiguous_strides, same_elements


@dataclass(frozen=True)
class Operand:
    """A matrix, or a batch of them, as cuBLAS takes it.

    Rows lie `leading` elements apart, or columns where it is `turned`; the matrices of a batch lie
    `apart` elements from one another.
    """

    leading: int
    turned: bool
    apart: int


def operand(array: Layout) -> Operand:
    """The array as an operand; raises UntraceableError where it would have to be copied first."""
    *lead, rows, columns = array.shape
    *far, down, right = array.strides
    apart = batch_stride(tuple(lead), tuple(far))
    if (columns == 1 or right == 1) and (rows == 1 or down >= columns):
        return Operand(down if rows > 1 else columns, False, apart)
    if (rows == 1 or down == 1) and (columns == 1 or right >= rows):
        return Operand(right if columns > 1 else rows, True, apart)
    raise refuse(f"a product of an array of shape {array.shape}, strides {array.strides}")


def batch_stride(shape: Shape, strides: Shape) -> int:
    """How far the matrices of a batch lie apart; 0 for one alone."""
    if math.prod(shape) == 1:
        return 0
    apart = min(s for s, n in zip(strides, shape, strict=True) if n > 1)
    if apart < 0 or not same_elements(
        strides, tuple(s * apart for s in contiguous_strides(shape)), shape
    ):
        raise refuse(f"a product of a stack of shape {shape}, strides {strides}")
    return apart


@dataclass(frozen=True)
class Product:
    """``out = left @ right``: (m, k) by (k, n), `batch` times."""

    m: int
    n: int
    k: int
    batch: int
    dtype: np.dtype[Any]
    left: Operand
    right: Operand

    def scalar(self, x: float) -> Any:
        return (ctypes.c_float if self.dtype == np.float32 else ctypes.c_double)(x)


def product_of(left: Layout, right: Layout, out: Layout, dtype: np.dtype[Any]) -> Product:
    """The product; raises UntraceableError for what cuBLAS does not take as it lies."""
    if dtype.name not in ("float32", "float64"):
        raise refuse(f"a product in {dtype}")
    batch, stacks = math.prod(out.shape[:-2]), (left.shape[:-2], right.shape[:-2])
    if any(math.prod(stack) not in (1, batch) for stack in stacks):
        raise refuse(f"a product of stacks of shapes {stacks}")
    m, n, k = out.shape[-2], out.shape[-1], left.shape[-1]
    return Product(m, n, k, batch, dtype, operand(left), operand(right))
