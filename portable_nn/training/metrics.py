"""Metrics: what is reported of each epoch beside the cost, computed where the arrays are.

A metric is made of sums over the examples, so data of any size is measured part by part, and the host
reads it with the costs, once an epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from portable_nn.backends import get
from portable_nn.checks.functions import check_unchanged
from portable_nn.equations import ACTIVATIONS, Array, Namespace
from portable_nn.errors import unknown_name
from portable_nn.network import Network

Function = Callable[[Namespace, Array, Array], Array]  # (xp, A, Y), in rows: a value for each example
Sums = tuple[Array, ...]


class Metric(Protocol):
    """What is measured; frozen, as a step is compiled for it."""

    def widths(self, n_outputs: int) -> tuple[int, ...]:
        """The k of each array of `terms`."""

    def terms(self, xp: Namespace, A: Array, Y: Array, origin: Any) -> Sums:
        """What is summed over the examples, arrays (..., k, B), of predictions and targets in rows.

        `origin` (..., 1, n_L) is the first row of the targets.
        """

    def value(self, xp: Namespace, sums: Sums, n: Any) -> Array:
        """The metric, from the sums (..., k) over examples of the total weight n."""


@dataclass(frozen=True)
class Mean:
    """The mean over the examples of ``function(xp, A, Y)``, (..., B) for rows A and Y (..., B, n_L)."""

    function: Function

    def widths(self, n_outputs: int) -> tuple[int, ...]:
        return (1,)

    def terms(self, xp: Namespace, A: Array, Y: Array, origin: Any) -> Sums:
        return (xp.astype(self.function(xp, A, Y), A.dtype)[..., None, :],)

    def value(self, xp: Namespace, sums: Sums, n: Any) -> Array:
        mean: Array = sums[0][..., 0] / n
        return mean


@dataclass(frozen=True)
class R2:
    """R^2 = 1 - sum_i (y_i - a_i)^2 / sum_i (y_i - mean)^2, the mean of all outputs.

    As in scikit-learn, an output whose targets are all equal counts as 1 if it is predicted exactly,
    else as 0. The squares are of differences from one of the targets: those of y itself would lose all
    digits where y is far from 0.
    """

    def widths(self, n_outputs: int) -> tuple[int, ...]:
        return (n_outputs,) * 3

    def terms(self, xp: Namespace, A: Array, Y: Array, origin: Any) -> Sums:
        y, error = (Y - origin).mT, (Y - A).mT
        return y, y * y, error * error

    def value(self, xp: Namespace, sums: Sums, n: Any) -> Array:
        total, squares, residual = sums
        n = n if isinstance(n, int) else n[..., None]
        spread = squares - total * total / n
        varies = spread > 0
        ratio = residual / xp.where(varies, spread, xp.ones_like(spread))
        constant = xp.astype(residual > 0, residual.dtype)
        return 1 - xp.mean(xp.where(varies, ratio, constant), axis=-1)


def is_most_likely(xp: Namespace, A: Array, Y: Array) -> Array:
    """Whether the class with the largest output is the right one."""
    right: Array = xp.argmax(A, axis=-1) == xp.argmax(Y, axis=-1)
    return right


def is_right_at_half(xp: Namespace, A: Array, Y: Array) -> Array:
    """Whether every output is on the right side of 1/2."""
    right: Array = xp.all((A > 0.5) == (Y > 0.5), axis=-1)
    return right


def squared_error(xp: Namespace, A: Array, Y: Array) -> Array:
    """(a - y)^2, the mean of the outputs."""
    mean: Array = xp.mean((A - Y) * (A - Y), axis=-1)
    return mean


def absolute_error(xp: Namespace, A: Array, Y: Array) -> Array:
    """|a - y|, the mean of the outputs."""
    mean: Array = xp.mean(xp.abs(A - Y), axis=-1)
    return mean


def known_metrics(net: Network) -> dict[str, Metric]:
    """The metrics that have a name, for this network."""
    is_class = net.loss.targets == "distribution" or net.g[-1] == ACTIVATIONS["softmax"]
    return {
        "accuracy": Mean(is_most_likely if is_class else is_right_at_half),
        "r2": R2(),
        "mean_squared_error": Mean(squared_error),
        "mean_absolute_error": Mean(absolute_error),
    }


def check_metrics(metrics: Any, net: Network) -> tuple[tuple[str, Metric], ...]:
    """The metrics by name; TypeError or ValueError unless each is known, or a function that works."""
    known = known_metrics(net)
    if isinstance(metrics, str):
        metrics = [metrics]
    if not isinstance(metrics, Mapping):
        if not isinstance(metrics, Iterable):
            raise TypeError(
                f"`metrics` is {metrics!r}; accepted: names ({', '.join(known)}), or a dict of names "
                "and functions of (xp, A, Y)"
            )
        metrics = {name: name for name in metrics}
    found = []
    for name, given in metrics.items():
        if not isinstance(name, str):
            raise TypeError(
                f"`metrics` has {name!r} in the place of a name; accepted: names of known metrics, or a "
                "dict that names functions: metrics={'mine': function}"
            )
        if isinstance(given, str):
            if given not in known:
                raise ValueError(unknown_name("metric", given, known))
            found.append((name, known[given]))
        else:
            check_metric(name, given, net.sizes[-1])
            found.append((name, Mean(given)))
    return tuple(found)


def check_metric(name: str, function: Any, n_outputs: int) -> None:
    """Raise TypeError or ValueError unless the function gives one number for each of two examples."""
    what = f"`metrics[{name!r}]`"
    if not callable(function):
        raise TypeError(f"{what} is {function!r}; accepted: a name, or a function of (xp, A, Y)")
    A, Y = np.full((2, n_outputs), 0.25, "float32"), np.eye(2, n_outputs, dtype="float32")
    given = A.copy(), Y.copy()
    try:
        result = function(get("numpy").xp, *given)
        shape = tuple(result.shape)
    except Exception as error:
        raise TypeError(
            f"{what} fails on predictions of shape {A.shape}, with {type(error).__name__}: {error}; "
            "accepted: a function of (xp, A, Y), written with the functions of `xp`"
        ) from error
    if shape != (2,):
        raise ValueError(
            f"{what} gave shape {shape} for predictions of shape {A.shape}; accepted: (2,), one value "
            "for each example, whose mean is reported"
        )
    check_unchanged(what, (A, Y), given)
