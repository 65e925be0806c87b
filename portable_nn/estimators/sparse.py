"""A sparse X where the equations expect an array, on the CPU."""

from __future__ import annotations

from typing import Any

import scipy.sparse


class SparseRows:
    """The few things that the equations and the loop ask of X, answered by a sparse matrix.

    W @ X.mT and Delta @ X are products of SciPy, with a NumPy array as the result; rows are taken by
    number (`numpy.take` calls the method of that name) or as a slice, without being made dense.
    """

    __array_ufunc__ = None  # NumPy leaves the products to the methods below
    ndim = 2

    def __init__(self, matrix: Any) -> None:
        self.matrix = scipy.sparse.csr_array(matrix) if matrix.format != "csc" else matrix
        self.shape, self.dtype = matrix.shape, matrix.dtype

    @property
    def mT(self) -> SparseRows:
        return SparseRows(self.matrix.T)

    def __rmatmul__(self, W: Any) -> Any:
        return W @ self.matrix

    def __getitem__(self, key: Any) -> SparseRows:
        _, rows, _ = key  # X[..., rows, :]
        return SparseRows(self.matrix[rows])

    def take(self, rows: Any, axis: int, **_: Any) -> SparseRows:
        return SparseRows(self.matrix[rows])

    def astype(self, dtype: Any) -> SparseRows:
        return SparseRows(self.matrix.astype(dtype, copy=False))
