"""The embedding of categories: a vector in place of each code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from portable_nn.checks import check_whole
from portable_nn.checks.numbers import store_whole
from portable_nn.equations import Array, Namespace
from portable_nn.equations.segments import picked, picked_prime
from portable_nn.layers.base import Gradients, Layer, Parameter, Theta
from portable_nn.layers.columns import check_within, joined, others, rows_of

LARGEST_CODE = 1 << 24  # float32 has every whole number up to it


@dataclass(frozen=True)
class Embedding(Layer):
    """A trained vector in place of each category's code; the first layer, for columns of codes.

    X has the codes, whole numbers 0, 1, ..., levels - 1 of any dtype, beside the columns of numbers. The
    result has the columns of numbers first, as they are, then the vectors: of each entry, first to last,
    those of all columns of codes. All vectors are columns of one table E (dim, sum of the levels), drawn
    from N(0, 1), as in PyTorch.

    The gradient of E is as large as E, although a batch picks few of its columns: optimizers with
    momentum, or with running means as Adam has, change every entry in each update.

    Parameters
    ----------
    levels : dict of int to int
        How many categories each column of codes has: ``{6: 10, 7: 1000}``.
    dim : int
        The length of the vectors, >= 1.

    Attributes
    ----------
    columns : tuple of int
        The columns of codes.
    counts : tuple of int
        The number of categories of each.

    Raises
    ------
    TypeError, ValueError
        If `levels` is no such dict, or `dim` no whole number >= 1.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> net = pnn.Network((3, pnn.Embedding({2: 10}, dim=4), 16, "relu", 1), loss="squared_error")
    >>> net.initialize()[0][0].shape
    (4, 10)
    """

    levels: Any  # given as a dict, kept as pairs
    dim: int

    def __post_init__(self) -> None:
        store_whole(self, dim=1)
        given: Any = self.levels.items() if isinstance(self.levels, Mapping) else self.levels
        try:
            pairs = sorted((check_whole("levels", c, 0), n) for c, n in given)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"`levels` is {self.levels!r}; accepted: numbers of categories by column, as {{6: 10}}"
            ) from error
        for column, n in pairs:
            check_whole(f"levels[{column}]", n, 1, LARGEST_CODE)
        if not pairs or len(dict(pairs)) != len(pairs):
            raise ValueError(f"`levels` is {self.levels!r}; accepted: one or more columns, each once")
        object.__setattr__(self, "levels", tuple(pairs))

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns of codes."""
        return tuple(column for column, _ in self.levels)

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of categories of each."""
        return tuple(n for _, n in self.levels)

    def width(self, n: int) -> int:
        check_within(self.columns, n)
        return n + len(self.levels) * (self.dim - 1)

    def parameters(self, n: int) -> tuple[Parameter, ...]:
        E = (self.dim, sum(self.counts))
        return (Parameter("E", E, "embeddings", lambda random, shape: random.standard_normal(shape)),)

    def _codes(self, xp: Namespace, A: Array) -> Array:
        """The columns of E that the examples A (n, B) pick, for one column of codes after the other."""
        starts = (0, *accumulate(self.counts))
        each = [
            xp.astype(A[column, :], xp.int32) + start
            for column, start in zip(self.columns, starts, strict=False)
        ]
        return each[0] if len(each) == 1 else xp.concat(each, axis=0)

    def forward(self, xp: Namespace, theta: Theta, A: Array) -> tuple[Array, Any]:
        (E,), n = theta, A.shape[-2]
        if A.ndim > 2:  # examples of its own for each network of a stack
            alone = [self.forward(xp, (E[k, ...],), A[k, ...]) for k in range(A.shape[0])]
            return xp.stack([one for one, _ in alone], axis=0), [kept for _, kept in alone]
        codes = self._codes(xp, A)
        vectors = picked(xp, E, codes)
        vectors = xp.reshape(vectors, (*E.shape[:-2], self.dim * len(self.levels), A.shape[-1]))
        return joined(xp, [*rows_of(A, others(self.columns, n)), vectors]), codes

    def backward(self, xp: Namespace, theta: Theta, kept: Any, dA: Array) -> Gradients:
        (E,) = theta
        if isinstance(kept, list):
            alone = [self.backward(xp, (E[k, ...],), one, dA[k, ...]) for k, one in enumerate(kept)]
            return dA, (xp.stack([dE for _, (dE,) in alone], axis=0),)
        B, d = dA.shape[-1], self.dim * len(self.levels)
        dV = xp.reshape(dA[..., dA.shape[-2] - d :, :], (*E.shape[:-1], kept.shape[0]))
        return dA, (picked_prime(xp, (1 / B) * dV, kept, E.shape[-1]),)  # codes have no derivative
