"""Matrix products by cuBLAS, through a handle of our own.

CuPy's own products cannot be captured into a CUDA graph; cuBLAS's can, given a handle whose stream and
workspace never change. The interface is NVIDIA's: https://docs.nvidia.com/cuda/cublas/.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from portable_nn.compiler.cuda.products import MatrixProduct

WORKSPACE = 32 * 2**20  # bytes, as NVIDIA recommends for its Hopper cards
REAL_32, REAL_64 = 0, 1  # cudaDataType
COMPUTE_32, COMPUTE_TF32, COMPUTE_64 = 68, 77, 70  # cublasComputeType_t
DEFAULT_ALGORITHM = -1


class Cublas:
    """A handle of the library; its stream and its workspace (an address) never change."""

    def __init__(self, library: Any, stream: int, workspace: int, tf32: bool = False) -> None:
        P, I, L = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong
        library.cublasCreate_v2.argtypes = [ctypes.POINTER(P)]
        library.cublasSetStream_v2.argtypes = [P, P]
        library.cublasSetWorkspace_v2.argtypes = [P, P, ctypes.c_size_t]
        matrix = [P, I, I, L]
        self.multiply = library.cublasGemmStridedBatchedEx
        self.multiply.argtypes = [P, I, I, I, I, I, P, *matrix, *matrix, P, *matrix, I, I, I]
        self.handle, self.tf32 = P(), tf32
        check_status(library.cublasCreate_v2(ctypes.byref(self.handle)))
        check_status(
            library.cublasSetStream_v2(self.handle, stream)
        )  # first, because it resets the workspace
        check_status(library.cublasSetWorkspace_v2(self.handle, workspace, WORKSPACE))

    def prepared(self, product: MatrixProduct, left: int, right: int, out: int) -> Callable[[], None]:
        """A function that enqueues the product of the arrays at these addresses.

        cuBLAS takes matrices in column-major order, so it is told to compute out.T = right.T @ left.T.
        """
        p = product
        one, zero = p.scalar(1.0), p.scalar(0.0)
        real, compute = (REAL_32, COMPUTE_TF32 if self.tf32 else COMPUTE_32)
        if p.dtype == np.float64:
            real, compute = REAL_64, COMPUTE_64
        A = (left, real, p.left.leading_dimension, p.left.batch_stride)
        B = (right, real, p.right.leading_dimension, p.right.batch_stride)
        C = (out, real, p.n, p.m * p.n)
        transposed = (int(p.right.transposed), int(p.left.transposed))
        scalars = ctypes.addressof(one), ctypes.addressof(zero)
        arguments = (*transposed, p.n, p.m, p.k, scalars[0], *B, *A, scalars[1], *C, p.batch, compute)

        def run(alive: Any = (one, zero)) -> None:
            check_status(self.multiply(self.handle, *arguments, DEFAULT_ALGORITHM))

        return run


def check_status(status: int) -> None:
    """Raise RuntimeError if a call of cuBLAS did not succeed."""
    if status:
        raise RuntimeError(
            f"cuBLAS gave status {status}; accepted: 0, success (cublasStatus_t in its documentation "
            "says what others mean)"
        )


def mapped_library() -> Any:
    """The libcublas that this process has loaded; None if it has loaded none, or several."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    paths = {line.split(maxsplit=5)[-1] for line in lines if "libcublas.so" in line}
    return ctypes.CDLL(paths.pop()) if len(paths) == 1 else None
