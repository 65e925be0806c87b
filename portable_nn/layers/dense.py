"""Dense layers among others: the recipe's own lines, for one layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portable_nn.checks import check_flag
from portable_nn.checks.numbers import store_whole
from portable_nn.equations import ACTIVATIONS, Array, Namespace, backward_to, forward
from portable_nn.equations.normalization import scaled, scaled_prime, shifted, shifted_prime
from portable_nn.layers.base import BY_SCHEME, Gradients, Layer, Parameter, Theta

LINEAR = (ACTIVATIONS["identity"],)


@dataclass(frozen=True)
class Dense(Layer):
    """W a + b, with W (units, n), b (units, 1); in a list of layers its number of units will do.

    Parameters
    ----------
    units : int
        >= 1.
    bias : bool
        Whether there is a b: below a batch normalization, which subtracts it, there need not be.

    Raises
    ------
    TypeError, ValueError
        If `units` is not a whole number >= 1, or `bias` neither True nor False.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> net = pnn.Network((2, pnn.Dense(3, bias=False), "relu", pnn.Dense(1)), loss="squared_error")
    >>> [[array.shape for array in layer] for layer in net.initialize()]
    [[(3, 2)], [(1, 3), (1, 1)]]
    """

    units: int
    bias: bool = True

    def __post_init__(self) -> None:
        store_whole(self, units=1)
        check_flag("bias", self.bias)

    def width(self, n: int) -> int:
        return self.units

    def parameters(self, n: int) -> tuple[Parameter, ...]:
        W = Parameter("W", (self.units, n), "weights", BY_SCHEME)
        b = Parameter("b", (self.units, 1), "biases")
        return (W, b) if self.bias else (W,)

    def forward(self, xp: Namespace, theta: Theta, A: Array) -> tuple[Array, Any]:
        Z, inputs = forward(xp, [self._with_bias(theta)], A, LINEAR)
        return Z[-1], (Z, inputs)

    def backward(self, xp: Namespace, theta: Theta, kept: Any, dA: Array) -> Gradients:
        Z, inputs = kept
        grads, below = backward_to(0, xp, [self._with_bias(theta)], Z, inputs, dA, LINEAR)
        return below, grads[0][: len(theta)]

    def standardizing(self, theta: Theta, mean: Any, deviation: Any) -> Theta:
        W, *b = theta
        return W / deviation, *((shift - mean) / deviation for shift in b)

    def _with_bias(self, theta: Theta) -> tuple[Array, Any]:
        return (theta[0], theta[1] if self.bias else 0.0)


@dataclass(frozen=True)
class SharedDense(Layer):
    """s (W (r a)) + b: a dense layer whose W the networks of a stack share, with adapters of their own.

    r (n, 1) and s (units, 1) are each network's: with W it is a dense layer whose weights differ by a
    factor of rank 1 (BatchEnsemble: Wen et al., 2020; TabM: Gorishniy et al., 2025). r is 1 or -1 at
    first, s is 1. The gradient of W is the sum over the networks.

    Parameters
    ----------
    units : int
        >= 1.

    Raises
    ------
    TypeError, ValueError
        If `units` is not a whole number >= 1.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> net = pnn.Network((2, pnn.SharedDense(3), "relu", 1), loss="squared_error")
    >>> W, r, s, b = net.initialize(stack=10)[0]
    >>> W.shape, r.shape, s.shape, b.shape
    ((3, 2), (10, 2, 1), (10, 3, 1), (10, 3, 1))
    """

    units: int

    def __post_init__(self) -> None:
        store_whole(self, units=1)

    def width(self, n: int) -> int:
        return self.units

    def parameters(self, n: int) -> tuple[Parameter, ...]:
        return (
            Parameter("W", (self.units, n), "weights", BY_SCHEME, is_shared=True),
            Parameter("r", (n, 1), "scales", lambda random, shape: random.choice((-1.0, 1.0), shape)),
            Parameter("s", (self.units, 1), "scales", 1.0),
            Parameter("b", (self.units, 1), "biases"),
        )

    def forward(self, xp: Namespace, theta: Theta, A: Array) -> tuple[Array, Any]:
        W, r, s, b = theta
        Z, inputs = forward(xp, [(W, xp.zeros_like(b))], scaled(r, A), LINEAR)
        return shifted(scaled(s, Z[-1]), b), (A, Z, inputs)

    def backward(self, xp: Namespace, theta: Theta, kept: Any, dA: Array) -> Gradients:
        (W, r, s, b), (A, Z, inputs) = theta, kept
        (grads,), below = backward_to(0, xp, [(W, b)], Z, inputs, scaled(s, dA), LINEAR)
        dW = over_networks(xp, grads[0])
        ds, db = scaled_prime(xp, Z[-1], dA), shifted_prime(xp, dA)
        return scaled(r, below), (dW, scaled_prime(xp, A, below), ds, db)

    def standardizing(self, theta: Theta, mean: Any, deviation: Any) -> Theta:
        W, r, s, b = theta
        return W, r, s / deviation, (b - mean) / deviation


def over_networks(xp: Namespace, dW: Array) -> Array:
    """The sum (n, m) over the networks of a stack (..., n, m)."""
    n, m = dW.shape[-2:]
    return xp.reshape(xp.sum(xp.reshape(dW, (-1, n * m)), axis=-2), (n, m))
