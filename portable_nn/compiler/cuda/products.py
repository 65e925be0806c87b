"""Matrix products in the terms of cuBLAS, which takes operands whose rows or columns are contiguous."""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_nn.compiler.cuda.expressions import unsupported
from portable_nn.compiler.layout import Layout, Shape, Strides, contiguous_strides, same_elements


@dataclass(frozen=True)
class Operand:
    """A matrix, or a batch of them, as cuBLAS takes it; all distances are in elements.

    Rows are `leading_dimension` apart, or columns if it is `transposed`; the matrices of a batch are
    `batch_stride` apart.
    """

    leading_dimension: int
    transposed: bool
    batch_stride: int


def operand_of(array: Layout) -> Operand:
    """The array as an operand; raises UntraceableError if it would have to be copied first."""
    *lead, rows, columns = array.shape
    *lead_strides, down, right = array.strides
    batch_stride = batch_stride_of(tuple(lead), tuple(lead_strides))
    if (columns == 1 or right == 1) and (rows == 1 or down >= columns):
        return Operand(down if rows > 1 else columns, False, batch_stride)
    if (rows == 1 or down == 1) and (columns == 1 or right >= rows):
        return Operand(right if columns > 1 else rows, True, batch_stride)
    raise unsupported(f"a product of an array of shape {array.shape}, strides {array.strides}")


def batch_stride_of(shape: Shape, strides: Strides) -> int:
    """How far the matrices of a batch are apart; 0 for one alone."""
    if math.prod(shape) == 1:
        return 0
    stride = min(s for s, n in zip(strides, shape, strict=True) if n > 1)
    even = tuple(s * stride for s in contiguous_strides(shape))
    if stride < 0 or not same_elements(strides, even, shape):
        raise unsupported(f"a product of a stack of shape {shape}, strides {strides}")
    return stride


@dataclass(frozen=True)
class MatrixProduct:
    """``out = left @ right``: (m, k) by (k, n), `batch` times."""

    m: int
    n: int
    k: int
    batch: int
    dtype: np.dtype[Any]
    left: Operand
    right: Operand

    def scalar(self, x: float) -> ctypes.c_float | ctypes.c_double:
        """A number of the dtype of the product."""
        return (ctypes.c_float if self.dtype == np.float32 else ctypes.c_double)(x)


def product_of(left: Layout, right: Layout, out: Layout, dtype: np.dtype[Any]) -> MatrixProduct:
    """The product; raises UntraceableError for operands that cuBLAS does not take."""
    if dtype.name not in ("float32", "float64"):
        raise unsupported(f"a product in {dtype}")
    batch, stacks = math.prod(out.shape[:-2]), (left.shape[:-2], right.shape[:-2])
    if any(math.prod(stack) not in (1, batch) for stack in stacks):
        raise unsupported(f"a product of stacks of shapes {stacks}")
    m, n, k = out.shape[-2], out.shape[-1], left.shape[-1]
    return MatrixProduct(m, n, k, batch, dtype, operand_of(left), operand_of(right))
