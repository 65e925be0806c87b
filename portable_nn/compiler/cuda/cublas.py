"""Matrix products by cuBLASLt, on a stream and in a workspace of our own.

CuPy's own products cannot be captured into a CUDA graph; those of cuBLASLt can. It suggests algorithms
for a product, the one that it thinks fastest first. Where a product is small, that is often one that
splits each sum into more parts than is worth while: on an H200, 264 parts of a sum of 128 terms took
52 us, 33 parts 5. So the first suggestion with parts of a sensible length is taken, or else the one that
splits least. The choice does not depend on time, and so the bits of a training do not. The interface:
https://docs.nvidia.com/cuda/cublas/#cublaslt-api.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portable_nn.compiler.cuda.products import MatrixProduct, Operand

WORKSPACE = 32 * 2**20  # bytes, as NVIDIA recommends for its Hopper cards
REAL_32, REAL_64 = 0, 1  # cudaDataType
COMPUTE_32, COMPUTE_TF32, COMPUTE_64 = 68, 77, 70  # cublasComputeType_t
TRANSPOSE_A, TRANSPOSE_B = 3, 4  # cublasLtMatmulDescAttributes_t
BATCH_COUNT, BATCH_STRIDE = 5, 6  # cublasLtMatrixLayoutAttribute_t
MAX_WORKSPACE, FIRST_ALIGNMENT = 1, 5  # cublasLtMatmulPreferenceAttributes_t; of A, then B, C, D
SPLIT_K = 2  # cublasLtMatmulAlgoConfigAttributes_t
SUGGESTIONS = 32  # that are asked for
SHORTEST_PART = 32  # terms of a sum that is split
ALIGNMENT = 256  # bytes, the most that cuBLASLt asks for


class Suggestion(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t: an algorithm, and what cuBLASLt says of it."""

    _fields_ = (
        ("algorithm", ctypes.c_uint64 * 8),
        ("workspace", ctypes.c_size_t),
        ("state", ctypes.c_int),
        ("waves", ctypes.c_float),
        ("reserved", ctypes.c_int * 4),
    )


class Cublas:
    """A handle of the library `library`; its stream and its workspace (an address) never change."""

    def __init__(self, library: Any, stream: int, workspace: int) -> None:
        self.library = library
        self.stream, self.workspace = ctypes.c_void_p(stream), ctypes.c_void_p(workspace)
        self.handle = ctypes.c_void_p()
        check_status(library.cublasLtCreate(ctypes.byref(self.handle)))

    def prepared(
        self, product: MatrixProduct, addresses: Sequence[int], tf32: bool = False
    ) -> Callable[[], None]:
        """A function that enqueues the product of the arrays at these addresses: left, right, out.

        cuBLAS takes matrices in column-major order, so it is told to compute out.T = right.T @ left.T.
        `tf32`: whether float32 may be multiplied in TF32.
        """
        p, (left, right, out) = product, addresses
        real, compute = REAL_32, COMPUTE_TF32 if tf32 else COMPUTE_32
        if p.dtype == np.float64:
            real, compute = REAL_64, COMPUTE_64
        description = self.object("MatmulDesc", compute, real)
        self.set(description, "MatmulDesc", TRANSPOSE_A, ctypes.c_int32(p.right.transposed))
        self.set(description, "MatmulDesc", TRANSPOSE_B, ctypes.c_int32(p.left.transposed))
        A = self.layout(real, p.n, p.k, p.right, p.batch)
        B = self.layout(real, p.k, p.m, p.left, p.batch)
        C = self.layout(real, p.n, p.m, Operand(p.n, False, p.m * p.n), p.batch)
        layouts = (A, B, C, C)
        algorithm = self.algorithm(description, layouts, p.k, (right, left, out, out))
        one, zero = p.scalar(1.0), p.scalar(0.0)
        pointers = [ctypes.c_void_p(address) for address in (right, left, out)]
        arguments = (
            *(self.handle, description, ctypes.byref(one), pointers[0], A, pointers[1], B),
            *(ctypes.byref(zero), pointers[2], C, pointers[2], C, ctypes.byref(algorithm)),
            *(self.workspace, ctypes.c_size_t(WORKSPACE), self.stream),
        )
        multiply = self.library.cublasLtMatmul

        def run() -> None:
            check_status(multiply(*arguments))

        return run

    def algorithm(
        self, description: Any, layouts: Sequence[Any], terms: int, addresses: Sequence[int]
    ) -> Any:
        """The first suggestion that is sensible for sums of so many terms; see the head of this file."""
        preference = self.object("MatmulPreference")
        self.set(preference, "MatmulPreference", MAX_WORKSPACE, ctypes.c_size_t(WORKSPACE))
        for i, address in enumerate(addresses):
            aligned = ctypes.c_uint32(min(ALIGNMENT, address & -address or ALIGNMENT))
            self.set(preference, "MatmulPreference", FIRST_ALIGNMENT + i, aligned)
        found, count = (Suggestion * SUGGESTIONS)(), ctypes.c_int(0)
        asked = (self.handle, description, *layouts, preference, SUGGESTIONS, found)
        check_status(self.library.cublasLtMatmulAlgoGetHeuristic(*asked, ctypes.byref(count)))
        usable = [one.algorithm for one in found[: count.value] if one.state == 0]
        if not usable:
            raise RuntimeError(
                "cuBLASLt suggests no algorithm for a product; accepted: one that it can compute"
            )
        parts = [self.parts(one) for one in usable]
        sensible = [i for i, n in enumerate(parts) if n <= 1 or terms >= n * SHORTEST_PART]
        return usable[sensible[0] if sensible else parts.index(min(parts))]

    def parts(self, algorithm: Any) -> int:
        """Into how many parts an algorithm splits each sum."""
        value, written = ctypes.c_int32(0), ctypes.c_size_t(0)
        get = self.library.cublasLtMatmulAlgoConfigGetAttribute
        sizes = (ctypes.c_size_t(ctypes.sizeof(value)), ctypes.byref(written))
        check_status(get(ctypes.byref(algorithm), SPLIT_K, ctypes.byref(value), *sizes))
        return value.value

    def layout(self, real: int, rows: int, columns: int, operand: Operand, batch: int) -> Any:
        """An operand in column-major order: so many rows and columns once it has been transposed."""
        shape = (columns, rows) if operand.transposed else (rows, columns)
        sizes = (*map(ctypes.c_uint64, shape), ctypes.c_int64(operand.leading_dimension))
        found = self.object("MatrixLayout", real, *sizes)
        self.set(found, "MatrixLayout", BATCH_COUNT, ctypes.c_int32(batch))
        self.set(found, "MatrixLayout", BATCH_STRIDE, ctypes.c_int64(operand.batch_stride))
        return found

    def object(self, kind: str, *arguments: Any) -> Any:
        """A new object of the library, destroyed when nothing refers to it any more."""
        found = ctypes.c_void_p()
        create, destroy = (
            getattr(self.library, f"cublasLt{kind}{what}") for what in ("Create", "Destroy")
        )
        check_status(create(ctypes.byref(found), *arguments))
        weakref.finalize(found, destroy, ctypes.c_void_p(found.value)).atexit = False
        return found

    def set(self, of: Any, kind: str, attribute: int, value: Any) -> None:
        """Set an attribute of such an object."""
        size = ctypes.c_size_t(ctypes.sizeof(value))
        put = getattr(self.library, f"cublasLt{kind}SetAttribute")
        check_status(put(of, attribute, ctypes.byref(value), size))


def check_status(status: int) -> None:
    """Raise RuntimeError if a call of cuBLAS did not succeed."""
    if status:
        raise RuntimeError(
            f"cuBLAS gave status {status}; accepted: 0, success (cublasStatus_t in its documentation "
            "says what others mean)"
        )


def library_of(module: Any) -> Any:
    """The library with cuBLASLt that an extension module is linked to; None if there is none.

    The dynamic linker looks for a function of the module in what the module is linked to as well, so
    this is the library that the module itself calls, also where a process has loaded several.
    """
    try:
        library = ctypes.CDLL(module.__file__)
        library.cublasLtMatmul  # noqa: B018
    except (OSError, AttributeError):
        return None
    return library
