"""The losses: the terms that add up to L_i, and right under them the derivative dL/dA.

Shapes: A, the prediction, and Y, the targets, are (..., n_L, B), examples are columns. A loss gives
one term per output and example; L_i is their sum over the outputs (axis -2).
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass
from sys import float_info

from portable_nn.equations.activations import (
    ACTIVATIONS,
    Activation,
    Bound,
    check_named_functions,
    named,
    number,
    unit_step,
)
from portable_nn.equations.arrays import Array, Namespace


@dataclass(frozen=True)
class Loss:
    """The terms of L_i and their derivative dL/dA, both called as ``value(xp, A, Y)``.

    Parameters
    ----------
    name : str
        Shown in messages.
    value : callable
        ``value(xp, A, Y)``: the terms, (..., n_L, B) or (..., 1, B).
    derivative : callable
        ``derivative(xp, A, Y)``: dL/dA, (..., n_L, B).
    matched : Activation, optional
        The output activation with which Delta[L] = A - Y, exactly.
    value_from_Z : callable, optional
        ``value_from_Z(xp, Z, Y)``: the terms with the matched activation, from Z: right also where A
        has rounded to 0 or 1.
    targets : str
        Which targets have a meaning: "real", "nonnegative", "unit interval", or "distribution"
        (nonnegative, adding up to 1 over the outputs).

    Raises
    ------
    TypeError
        If `name` is not a string, or a function cannot be called.
    ValueError
        If `targets` is none of the four.

    Notes
    -----
    To be pickled the functions have to be defined in a module; cloudpickle, and so joblib's processes,
    take lambdas too.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> quartic = pnn.Loss("quartic", lambda xp, A, Y: (A - Y) ** 4, lambda xp, A, Y: 4 * (A - Y) ** 3)
    >>> pnn.Network((2, 1), ("identity",), quartic).loss
    Loss('quartic')
    """

    name: str
    value: Callable[[Namespace, Array, Array], Array]
    derivative: Callable[[Namespace, Array, Array], Array]
    matched: Activation | None = None
    value_from_Z: Callable[[Namespace, Array, Array], Array] | None = None
    targets: str = "real"

    def __post_init__(self) -> None:
        check_named_functions("Loss", self.name, value=self.value, derivative=self.derivative)
        if self.value_from_Z is not None:
            check_named_functions("Loss", self.name, value_from_Z=self.value_from_Z)
        if not isinstance(self.matched, Activation | None):
            raise TypeError(f"`matched` of Loss is {self.matched!r}; accepted: an Activation, or None")
        accepted = ("real", "nonnegative", "unit interval", "distribution")
        if self.targets not in accepted:
            raise ValueError(f"`targets` of Loss is {self.targets!r}; accepted: {accepted}")

    def __repr__(self) -> str:
        return named("Loss", self.name, self.derivative, self == LOSSES.get(self.name))


def positive(xp: Namespace, A: Array) -> Array:  # its logarithm and y/a are finite, and y/a * g' too
    return xp.maximum(A, float(xp.finfo(A.dtype).smallest_normal) ** 0.5)


def binary_cross_entropy(xp: Namespace, A: Array, Y: Array) -> Array:  # -y log a - (1-y) log(1-a)
    return -Y * xp.log(positive(xp, A)) - (1 - Y) * xp.log(positive(xp, 1 - A))


def binary_cross_entropy_from_Z(xp: Namespace, Z: Array, Y: Array) -> Array:  # a = sigmoid(z)
    return (xp.maximum(Z, 0.0) - Z * Y) + xp.log1p(xp.exp(-xp.abs(Z)))


def binary_cross_entropy_prime(xp: Namespace, A: Array, Y: Array) -> Array:  # -y/a + (1-y)/(1-a)
    return -Y / positive(xp, A) + (1 - Y) / positive(xp, 1 - A)


def categorical_cross_entropy(xp: Namespace, A: Array, Y: Array) -> Array:  # -y log a
    return -Y * xp.log(positive(xp, A))


def log_softmax(xp: Namespace, Z: Array) -> Array:  # z_k - log sum_j e^z_j
    top = xp.max(Z, axis=-2, keepdims=True)
    is_top = xp.astype(top == Z, Z.dtype)  # its e^0 is the 1 of log1p: small terms are not lost
    rest = xp.sum(xp.exp(Z - top) * (1 - is_top), axis=-2, keepdims=True)
    ties = xp.sum(is_top, axis=-2, keepdims=True) - 1
    return Z - top - xp.log1p(rest + ties)


def categorical_cross_entropy_from_Z(xp: Namespace, Z: Array, Y: Array) -> Array:  # a = softmax(z)
    return -Y * log_softmax(xp, Z)


def categorical_cross_entropy_prime(xp: Namespace, A: Array, Y: Array) -> Array:  # -y/a
    return -Y / positive(xp, A)


def squared_error(xp: Namespace, A: Array, Y: Array) -> Array:  # 1/2 (a - y)^2
    return 0.5 * (A - Y) ** 2


def squared_error_prime(xp: Namespace, A: Array, Y: Array) -> Array:  # a - y
    return A - Y


def absolute_error(xp: Namespace, A: Array, Y: Array) -> Array:  # |a - y|
    return xp.abs(A - Y)


def absolute_error_prime(xp: Namespace, A: Array, Y: Array) -> Array:  # sign(a - y)
    return xp.astype(A > Y, A.dtype) - xp.astype(A < Y, A.dtype)


def _huber(xp: Namespace, A: Array, Y: Array, delta: float) -> Array:
    """With e = |a - y|: e^2 / 2 if e <= delta, else delta (e - delta/2)."""
    E = xp.abs(A - Y)
    C = xp.minimum(E, delta)
    return C * (E - 0.5 * C)


def _huber_prime(xp: Namespace, A: Array, Y: Array, delta: float) -> Array:  # a - y, within +-delta
    return xp.maximum(xp.minimum(A - Y, delta), -delta)


def _pinball(
    xp: Namespace, A: Array, Y: Array, q: float
) -> Array:  # q (y - a) if y > a else (1 - q) (a - y)
    return xp.maximum(q * (Y - A), (q - 1) * (Y - A))


def _pinball_prime(xp: Namespace, A: Array, Y: Array, q: float) -> Array:  # -q if y > a else 1 - q
    return unit_step(xp, A - Y) - q


def poisson(xp: Namespace, A: Array, Y: Array) -> Array:  # a - y + y log(y/a), half the deviance
    return A - Y + Y * (xp.log(positive(xp, Y)) - xp.log(positive(xp, A)))


def poisson_from_Z(xp: Namespace, Z: Array, Y: Array) -> Array:  # a = e^z
    return xp.exp(Z) - Y + Y * (xp.log(positive(xp, Y)) - Z)


def poisson_prime(xp: Namespace, A: Array, Y: Array) -> Array:  # 1 - y/a
    return 1 - Y / positive(xp, A)


def huber(delta: float = 1.0) -> Loss:
    """Squared error up to `delta`, absolute error beyond (Huber, 1964).

    1/2 (a - y)^2 where |a - y| <= delta, else delta (|a - y| - delta/2), summed over the outputs.

    Parameters
    ----------
    delta : float
        > 0, in the unit of y.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError
        If `delta` is not a finite number > 0.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> pnn.huber(2.0).value(np, np.array([1.0, 10.0]), np.array([0.0, 0.0]))
    array([ 0.5, 18. ])
    """
    delta = number(delta)
    if isinstance(delta, bool) or not isinstance(delta, numbers.Real) or not 0 < delta <= float_info.max:
        raise ValueError(f"`delta` of huber is {delta!r}; accepted: a finite number > 0")
    return Loss("huber", Bound(_huber, float(delta)), Bound(_huber_prime, float(delta)))


def pinball(quantile: float = 0.5) -> Loss:
    """q (y - a) where y > a, else (1 - q) (a - y): least at the quantile q (Koenker and Bassett, 1978).

    Parameters
    ----------
    quantile : float
        q in (0, 1). For 1/2 it is half of the absolute error.

    Returns
    -------
    Loss

    Raises
    ------
    ValueError
        If `quantile` is not a number in (0, 1).

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> pnn.pinball(0.75).value(np, np.array([0.0, 0.0]), np.array([1.0, -1.0]))
    array([0.75, 0.25])
    """
    quantile = number(quantile)
    if isinstance(quantile, bool) or not isinstance(quantile, numbers.Real) or not 0 < quantile < 1:
        raise ValueError(f"`quantile` of pinball is {quantile!r}; accepted: a number in (0, 1)")
    q = float(quantile)
    return Loss("pinball", Bound(_pinball, q), Bound(_pinball_prime, q))


LOSSES = {
    loss.name: loss
    for loss in (
        Loss(
            "binary_cross_entropy",
            binary_cross_entropy,
            binary_cross_entropy_prime,
            ACTIVATIONS["sigmoid"],
            binary_cross_entropy_from_Z,
            "unit interval",
        ),
        Loss(
            "categorical_cross_entropy",
            categorical_cross_entropy,
            categorical_cross_entropy_prime,
            ACTIVATIONS["softmax"],
            categorical_cross_entropy_from_Z,
            "distribution",
        ),
        Loss("squared_error", squared_error, squared_error_prime, ACTIVATIONS["identity"]),
        Loss("absolute_error", absolute_error, absolute_error_prime),
        huber(),
        pinball(),
        Loss("poisson", poisson, poisson_prime, ACTIVATIONS["exp"], poisson_from_Z, "nonnegative"),
    )
}
