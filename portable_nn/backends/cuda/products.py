"""Matrix products by cuBLAS, through a handle of our own.

CuPy's own products cannot be part of a CUDA graph; cuBLAS's can, given a handle whose stream and
workspace never change. The interface is NVIDIA's: https://docs.nvidia.com/cuda/cublas/.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from portable_nn.backends.cuda.expressions import refuse
from portable_nn.backends.cuda.geometry import Geometry, Shape, in_one_row, same_places

WORKSPACE = 32 * 2**20  # bytes, as NVIDIA advises for its Hopper cards
REAL_32, REAL_64 = 0, 1  # cudaDataType
COMPUTE_32, COMPUTE_TF32, COMPUTE_64 = 68, 77, 70  # cublasComputeType_t
DEFAULT_ALGORITHM = -1


@dataclass(frozen=True)
class Operand:
    """A matrix, or a batch of them, as cuBLAS takes it.

    Rows lie `leading` elements apart, or columns where it is `turned`; the matrices of a batch lie
    `apart` elements from one another.
    """

    leading: int
    turned: bool
    apart: int


def operand(array: Geometry) -> Operand:
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
    if apart < 0 or not same_places(strides, tuple(s * apart for s in in_one_row(shape)), shape):
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


def product_of(left: Geometry, right: Geometry, out: Geometry, dtype: np.dtype[Any]) -> Product:
    """The product; raises UntraceableError for what cuBLAS does not take as it lies."""
    if dtype.name not in ("float32", "float64"):
        raise refuse(f"a product in {dtype}")
    batch, stacks = math.prod(out.shape[:-2]), (left.shape[:-2], right.shape[:-2])
    if any(math.prod(stack) not in (1, batch) for stack in stacks):
        raise refuse(f"a product of stacks of shapes {stacks}")
    m, n, k = out.shape[-2], out.shape[-1], left.shape[-1]
    return Product(m, n, k, batch, dtype, operand(left), operand(right))


class Cublas:
    """A handle of the library, bound to a stream and a workspace (its address) for good."""

    def __init__(self, library: Any, stream: int, workspace: int, tf32: bool = False) -> None:
        P, I, L = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong
        library.cublasCreate_v2.argtypes = [ctypes.POINTER(P)]
        library.cublasSetStream_v2.argtypes = [P, P]
        library.cublasSetWorkspace_v2.argtypes = [P, P, ctypes.c_size_t]
        matrix = [P, I, I, L]
        self.multiply = library.cublasGemmStridedBatchedEx
        self.multiply.argtypes = [P, I, I, I, I, I, P, *matrix, *matrix, P, *matrix, I, I, I]
        self.handle, self.tf32 = P(), tf32
        check(library.cublasCreate_v2(ctypes.byref(self.handle)))
        check(library.cublasSetStream_v2(self.handle, stream))  # takes the workspace back: first
        check(library.cublasSetWorkspace_v2(self.handle, workspace, WORKSPACE))

    def prepared(self, product: Product, left: int, right: int, out: int) -> Callable[[], None]:
        """The product of what lies at these addresses, as a function.

        cuBLAS thinks in columns, so it is told to make out.T = right.T @ left.T.
        """
        p = product
        one, zero = p.scalar(1.0), p.scalar(0.0)
        real, compute = (REAL_32, COMPUTE_TF32 if self.tf32 else COMPUTE_32)
        if p.dtype == np.float64:
            real, compute = REAL_64, COMPUTE_64
        A = (left, real, p.left.leading, p.left.apart)
        B = (right, real, p.right.leading, p.right.apart)
        C = (out, real, p.n, p.m * p.n)
        turns = (int(p.right.turned), int(p.left.turned))
        scalars = ctypes.addressof(one), ctypes.addressof(zero)
        arguments = (*turns, p.n, p.m, p.k, scalars[0], *B, *A, scalars[1], *C, p.batch, compute)

        def run(alive: Any = (one, zero)) -> None:
            check(self.multiply(self.handle, *arguments, DEFAULT_ALGORITHM))

        return run


def check(status: int) -> None:
    """Raise RuntimeError for a call of cuBLAS that did not succeed."""
    if status:
        raise RuntimeError(
            f"cuBLAS gave status {status}; accepted: 0, success (cublasStatus_t in its documentation "
            "says what others mean)"
        )


def mapped_library() -> Any:
    """The one libcublas that this process has in memory; None where there is none, or several."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    paths = {line.split(maxsplit=5)[-1] for line in lines if "libcublas.so" in line}
    return ctypes.CDLL(paths.pop()) if len(paths) == 1 else None
