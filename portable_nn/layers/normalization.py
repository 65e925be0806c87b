"""Scales, layer normalization, batch normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portable_nn.checks import POSITIVE, UP_TO_ONE, check_flag
from portable_nn.checks.numbers import store_numbers
from portable_nn.equations import Array, Namespace
from portable_nn.equations.normalization import (
    moments,
    running,
    scaled,
    scaled_prime,
    shifted,
    shifted_prime,
    standardized,
    standardized_delta,
    standardized_prime,
)
from portable_nn.layers.base import Gradients, Layer, Parameter, Theta


def columns(n: int) -> tuple[Parameter, Parameter]:
    """gamma and beta for n units."""
    return Parameter("gamma", (n, 1), "scales", 1.0), Parameter("beta", (n, 1), "biases", 0.0)


@dataclass(frozen=True)
class Scale(Layer):
    """gamma z + beta: a trained scale, and with `shift` a trained shift, for each unit.

    Parameters
    ----------
    shift : bool
        Whether there is a beta.

    Raises
    ------
    TypeError
        If `shift` is neither True nor False.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> net = pnn.Network((2, pnn.Scale(shift=False), 1), loss="squared_error")
    >>> net.initialize()[0][0].tolist()
    [[1.0], [1.0]]
    """

    shift: bool = True

    def __post_init__(self) -> None:
        check_flag("shift", self.shift)

    def parameters(self, n: int) -> tuple[Parameter, ...]:
        return columns(n)[: 2 if self.shift else 1]

    def forward(self, xp: Namespace, theta: Theta, A: Array) -> tuple[Array, Any]:
        Z = scaled(theta[0], A)
        return (shifted(Z, theta[1]) if self.shift else Z), A

    def backward(self, xp: Namespace, theta: Theta, kept: Any, dA: Array) -> Gradients:
        dtheta = scaled_prime(xp, kept, dA), shifted_prime(xp, dA)
        return scaled(theta[0], dA), dtheta[: len(theta)]

    def standardizing(self, theta: Theta, mean: Any, deviation: Any) -> Theta:
        gamma, *beta = theta
        return gamma / deviation, *((shift - mean) / deviation for shift in beta)


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Layer):
    """gamma n + beta, n being z standardized over the units of each example (Ba et al., 2016).

    Parameters
    ----------
    epsilon : float
        Added to the variance, > 0.

    Raises
    ------
    TypeError, ValueError
        If `epsilon` is not a number > 0.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> net = pnn.Network((2, 8, pnn.LayerNorm(), "relu", 1), loss="squared_error")
    >>> [array.name for array in net.arrays][2:4]
    ['gamma[2]', 'beta[2]']
    """

    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        store_numbers(self, epsilon=POSITIVE)

    def parameters(self, n: int) -> tuple[Parameter, ...]:
        return columns(n)

    def forward(self, xp: Namespace, theta: Theta, A: Array) -> tuple[Array, Any]:
        gamma, beta = theta
        mu, v, s = moments(xp, A, -2)
        root = s * xp.sqrt(v + self.epsilon / s / s)
        N = standardized(A, mu, root)
        return shifted(scaled(gamma, N), beta), (N, root)

    def backward(self, xp: Namespace, theta: Theta, kept: Any, dA: Array) -> Gradients:
        (gamma, _), (N, root) = theta, kept
        dtheta = scaled_prime(xp, N, dA), shifted_prime(xp, dA)
        return standardized_delta(xp, N, root, scaled(gamma, dA), -2), dtheta


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Layer):
    """gamma n + beta, n being z standardized over the examples of the batch (Ioffe and Szegedy, 2015).

    Training standardizes by the mean and the variance of each batch, and moves the running ones: mean <-
    (1 - momentum) mean + momentum mu, and so the variance, by sigma^2 B / (B - 1), as PyTorch does.
    Predictions, and the cost of validation data, take the running ones. A batch needs two rows.

    Parameters
    ----------
    momentum : float
        The share of each batch in the running mean and variance, in (0, 1]; Keras calls 1 - momentum so.
    epsilon : float
        Added to the variance, > 0.

    Raises
    ------
    TypeError, ValueError
        If one of them is no number in its range.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> net = pnn.Network((1, pnn.BatchNorm(), 1), loss="squared_error")
    >>> X, params = np.array([[1.0], [3.0]]), net.initialize(dtype="float64")
    >>> A = net.activations(params, X)[0]  # by the running mean and variance, which are 0 and 1
    >>> A.round(3).tolist()
    [[1.0], [3.0]]
    >>> params = net.with_statistics(params, X)  # as each update of `fit` does
    >>> params[0][2].round(3).tolist()  # 0.9 * 0 + 0.1 * 2
    [[0.2]]
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        store_numbers(self, momentum=UP_TO_ONE._replace(closed_low=False), epsilon=POSITIVE)

    def parameters(self, n: int) -> tuple[Parameter, ...]:
        mean = Parameter("mean", (n, 1), "statistics", 0.0)
        variance = Parameter("variance", (n, 1), "statistics", 1.0, is_nonnegative=True)
        return *columns(n), mean, variance

    def forward(self, xp: Namespace, theta: Theta, A: Array) -> tuple[Array, Any]:
        gamma, beta, mu, variance = theta
        root = xp.sqrt(variance + self.epsilon)
        N = standardized(A, mu, root)
        return shifted(scaled(gamma, N), beta), (N, root)

    def forward_in_training(self, xp: Namespace, theta: Theta, A: Array) -> tuple[Array, Any]:
        gamma, beta, _, _ = theta
        mu, v, s = moments(xp, A, -1)
        root = s * xp.sqrt(v + self.epsilon / s / s)
        N = standardized(A, mu, root)
        return shifted(scaled(gamma, N), beta), (N, root, mu, v * s * s)

    def backward(self, xp: Namespace, theta: Theta, kept: Any, dA: Array) -> Gradients:
        (gamma, *_), (N, root, *of_batch) = theta, kept
        dN = scaled(gamma, dA)
        dZ = standardized_delta(xp, N, root, dN, -1) if of_batch else standardized_prime(dN, root)
        return dZ, (scaled_prime(xp, N, dA), shifted_prime(xp, dA), None, None)

    def moved(self, xp: Namespace, theta: Theta, kept: Any) -> Theta:
        gamma, beta, mean, variance = theta
        N, _, mu, of_batch = kept
        B, share = N.shape[-1], self.momentum
        unbiased = (B / (B - 1)) * of_batch
        return gamma, beta, running(mean, mu, share), running(variance, unbiased, share)
