"""Embeddings of numbers: a trained, periodic one, and a piecewise-linear encoding."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from portable_nn.backends import to_host
from portable_nn.checks import POSITIVE, check_owner, check_whole
from portable_nn.checks.numbers import store_numbers, store_whole
from portable_nn.equations import ACTIVATIONS, Array, Namespace, backward_to, forward
from portable_nn.equations.features import COSINE, piecewise_linear, piecewise_linear_prime
from portable_nn.equations.normalization import scaled, standardized, standardized_prime
from portable_nn.equations.segments import picked_prime
from portable_nn.layers.base import Gradients, Layer, Parameter, Theta
from portable_nn.layers.columns import (
    Columns,
    check_columns,
    check_within,
    in_rows,
    joined,
    others,
    put_back,
    rows_of,
)

G = (COSINE, ACTIVATIONS["identity"])


@dataclass(frozen=True)
class Periodic(Layer):
    """For each number x: x itself, and V cos(2 pi w x + c) + e, with trained frequencies w.

    Each column has a network of its own, (1, frequencies, dim - 1), whose hidden activation is the
    cosine: PBLD of RealMLP (Holzmueller et al., 2024). w (frequencies, 1) is drawn from N(0, sigma^2), c
    evenly from (-pi, pi), V and e from (-1/sqrt(frequencies), 1/sqrt(frequencies)). The result has the
    other columns first, then the numbers themselves, then the dim - 1 units of each.

    Parameters
    ----------
    dim : int
        Units for each number, >= 2, x included.
    frequencies : int
        >= 1.
    sigma : float
        > 0; for inputs of scale 1. The larger, the finer the structure that is seen at first.
    columns : sequence of int, optional
        The columns that are embedded; by default all. Right after an `Embedding` they are counted among
        the numbers, which come first there, and "all" means these.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of that form.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> net = pnn.Network((2, pnn.Periodic(dim=4, frequencies=8), 1), loss="squared_error")
    >>> [array.shape for array in net.initialize()[0]]  # of 2 columns, 8 frequencies and 3 units each
    [(16, 1), (16, 1), (6, 8), (6, 1)]
    """

    dim: int = 4
    frequencies: int = 16
    sigma: float = 0.1
    columns: Iterable[int] | None = None

    def __post_init__(self) -> None:
        store_whole(self, dim=2, frequencies=1)
        store_numbers(self, sigma=POSITIVE)
        object.__setattr__(self, "columns", check_columns(self.columns))

    def _chosen(self, n: int) -> Columns:
        """The columns that are embedded, of n."""
        return tuple(range(n)) if self.columns is None else tuple(self.columns)

    def width(self, n: int) -> int:
        check_within(self._chosen(n), n)
        return n + len(self._chosen(n)) * (self.dim - 1)

    def parameters(self, n: int) -> tuple[Parameter, ...]:
        F, k, d = len(self._chosen(n)), self.frequencies, self.dim - 1

        def evenly(bound: float) -> Any:
            return lambda random, shape: random.uniform(-bound, bound, shape)

        def normal(random: Any, shape: tuple[int, int]) -> Any:
            return self.sigma * random.standard_normal(shape)

        return (
            Parameter("w", (F * k, 1), "weights", normal),
            Parameter("c", (F * k, 1), "biases", evenly(math.pi)),
            Parameter("V", (F * d, k), "weights", evenly(k**-0.5)),
            Parameter("e", (F * d, 1), "biases", evenly(k**-0.5)),
        )

    def _networks(self, xp: Namespace, theta: Theta, F: int) -> list[tuple[Array, Array]]:
        """The parameters of a stack of F networks (..., F, n_l, n_{l-1}), one for each column."""
        w, c, V, e = (xp.reshape(x, (*x.shape[:-2], F, -1, x.shape[-1])) for x in theta)
        return [(scaled(2 * math.pi, w), c), (V, e)]  # type: ignore[arg-type]

    def forward(self, xp: Namespace, theta: Theta, A: Array) -> tuple[Array, Any]:
        n = A.shape[-2]
        X = joined(xp, rows_of(A, self._chosen(n)))
        F, B = X.shape[-2:]
        stack = self._networks(xp, theta, F)
        Z, inner = forward(xp, stack, xp.reshape(X, (*X.shape[:-1], 1, B)), G)  # type: ignore[arg-type]
        P = xp.reshape(inner[-1], (*inner[-1].shape[:-3], F * (self.dim - 1), B))
        return joined(xp, [*rows_of(A, others(self._chosen(n), n)), X, P]), (n, stack, Z, inner)

    def backward(self, xp: Namespace, theta: Theta, kept: Any, dA: Array) -> Gradients:
        n, stack, Z, inner = kept
        F, B = len(self._chosen(n)), dA.shape[-1]
        dX = dA[..., n - F : n, :]
        dP = xp.reshape(in_rows(xp, dA[..., n:, :]), (*dA.shape[:-2], F, self.dim - 1, B))
        ((dW, dc), (dV, de)), below = backward_to(0, xp, stack, Z, inner, dP, G)
        dw = scaled(2 * math.pi, dW)  # type: ignore[arg-type]
        grads = [xp.reshape(g, x.shape) for g, x in zip((dw, dc, dV, de), theta, strict=True)]
        dX = dX + xp.reshape(below, dX.shape)
        rest = dA[..., : n - F, :] if n > F else None
        return put_back(xp, self._chosen(n), dX, rest, n), tuple(grads)


@dataclass(frozen=True)
class PiecewiseLinear(Layer):
    """Each number as how far it is through each of some bins: 0 before, 1 after, linear within.

    Before the first bin, and after the last one, the line goes on (Gorishniy et al., 2022). Nothing of
    it is trained. The result has the other columns first, then the bins of each number in turn.

    Parameters
    ----------
    edges : sequence of sequences of float
        For each column that is encoded the edges of its bins, in increasing order, two or more.
    columns : sequence of int, optional
        These columns; by default all. As for `Periodic`, they are counted among the numbers right after
        an `Embedding`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of that form.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> encode = pnn.PiecewiseLinear([(0, 1, 4)])
    >>> net = pnn.Network((1, encode, 1), loss="squared_error")
    >>> net.layers[0].edges
    ((0.0, 1.0, 4.0),)
    """

    edges: Iterable[Sequence[float]]
    columns: Iterable[int] | None = None

    def __post_init__(self) -> None:
        try:
            edges = tuple(tuple(float(edge) for edge in one) for one in self.edges)
        except (TypeError, ValueError):
            edges = ()
        if not edges or any(len(one) < 2 for one in edges):
            raise ValueError(f"`edges` is {self.edges!r}; accepted: two or more numbers for each column")
        for one in edges:
            if not all(low < high for low, high in pairwise(one)) or not np.isfinite(one).all():
                raise ValueError(f"`edges` has {one}; accepted: finite numbers in increasing order")
        columns = check_columns(self.columns)
        if columns is not None and len(columns) != len(edges):
            raise ValueError(
                f"`columns` has {len(columns)} and `edges` {len(edges)}; accepted: edges for each column"
            )
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "columns", columns)

    @classmethod
    def from_data(
        cls, X: Array, bins: int = 16, columns: Iterable[int] | None = None
    ) -> PiecewiseLinear:
        """With edges at quantiles of the rows X.

        Parameters
        ----------
        X : array (n_samples, n_0)
            Rows of numbers, of any library.
        bins : int
            How many each column gets, >= 1; fewer where quantiles are equal.
        columns : sequence of int, optional
            The columns that are encoded; by default all.

        Returns
        -------
        PiecewiseLinear

        Raises
        ------
        TypeError, ValueError
            If X is not such an array, or a column has one value only.

        Examples
        --------
        >>> import numpy as np
        >>> import portable_nn as pnn
        >>> pnn.PiecewiseLinear.from_data(np.arange(9.0)[:, None], bins=4).edges
        ((0.0, 2.0, 4.0, 6.0, 8.0),)
        """
        check_whole("bins", bins, 1)
        check_owner("X", X)
        host = to_host(X)
        if host.ndim != 2 or not len(host) or host.dtype.kind not in "biuf":
            raise ValueError(
                f"`X` has shape {host.shape} and dtype {host.dtype}; accepted: rows of numbers, "
                "(n_samples, n_0)"
            )
        if not np.isfinite(host).all():
            raise ValueError(
                "`X` has NaN or infinite values; accepted: finite ones; drop or impute them"
            )
        chosen = check_columns(range(host.shape[1]) if columns is None else columns) or ()
        check_within(chosen, host.shape[1])
        shares = np.linspace(0, 1, bins + 1)
        edges = [np.unique(np.quantile(host[:, c].astype("float64"), shares)) for c in chosen]
        for column, one in zip(chosen, edges, strict=True):
            if len(one) < 2:
                raise ValueError(f"column {column} of `X` has one value; accepted: `columns` without it")
        return cls([one.tolist() for one in edges], columns)

    def _chosen(self, n: int) -> Columns:
        """The columns that are encoded, of n."""
        return tuple(range(n)) if self.columns is None else tuple(self.columns)

    def width(self, n: int) -> int:
        columns, edges = self._chosen(n), tuple(self.edges)
        check_within(columns, n)
        if len(columns) != len(edges):
            raise ValueError(f"`edges` has {len(edges)}; accepted: edges for each of {n} columns below")
        return n - len(edges) + sum(len(one) - 1 for one in edges)

    def parameters(self, n: int) -> tuple[Parameter, ...]:
        edges = tuple(self.edges)
        own = [len(one) - 1 for one in edges]
        low = np.concatenate([one[:-1] for one in edges])
        high = np.concatenate([one[1:] for one in edges])
        first, last = np.zeros(sum(own)), np.zeros(sum(own))
        first[np.cumsum([0, *own[:-1]])] = last[np.cumsum(own) - 1] = 1.0
        index = np.repeat(np.arange(len(own)), own)  # of the number that each bin is of
        given = {"index": index, "low": low, "width": high - low, "first": first, "last": last}
        return tuple(
            Parameter(symbol, (sum(own), 1), "constants", values[:, None], is_shared=True)
            for symbol, values in given.items()
        )

    def forward(self, xp: Namespace, theta: Theta, A: Array) -> tuple[Array, Any]:
        index, low, width, first, last = theta
        n = A.shape[-2]
        X = joined(xp, rows_of(A, self._chosen(n)))
        if X.shape[-2] > 1:  # a single number is broadcast to its bins
            X = xp.take(X, in_integers(xp, index), axis=-2)
        U = standardized(X, low, width)
        bins = piecewise_linear(xp, U, first, last)
        return joined(xp, [*rows_of(A, others(self._chosen(n), n)), bins]), (n, U)

    def backward(self, xp: Namespace, theta: Theta, kept: Any, dA: Array) -> Gradients:
        (index, _, width, first, last), (n, U) = theta, kept
        F = len(self._chosen(n))
        dU = dA[..., n - F :, :] * piecewise_linear_prime(xp, U, first, last)
        dU = standardized_prime(dU, width)
        dX = picked_prime(xp, dU.mT, in_integers(xp, index), F).mT
        rest = dA[..., : n - F, :] if n > F else None
        return put_back(xp, self._chosen(n), dX, rest, n), (None,) * len(theta)


def in_integers(xp: Namespace, index: Array) -> Array:
    """A column of whole numbers as the integers (M,) that they are."""
    return xp.astype(xp.reshape(index, (-1,)), xp.int32)
