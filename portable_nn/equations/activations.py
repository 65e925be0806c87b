"""The activations: each function g, and right under it its derivative g'.

Shapes: Z is (..., n_l, B), examples are columns; the result has the shape and dtype of Z. Every
function but exp is finite and right for every finite Z up to half of the largest number of its dtype:
E = e^-|z| is in [0, 1] and cannot overflow. At z = 0, relu' = leaky_relu' = 1, as in the source.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass

from portable_nn.equations.arrays import Array, Namespace


@dataclass(frozen=True)
class Activation:
    """A = g(Z) with its derivative g'(Z), both called as ``g(xp, Z)``.

    Parameters
    ----------
    name : str
        Shown in messages.
    g, g_prime : callable
        ``g(xp, Z)`` and ``g_prime(xp, Z)``: an array (..., n_l, B) in, one of that shape and dtype out,
        written with the functions of the namespace `xp` alone. Whatever else they read is read again in
        each epoch; on JAX only numbers, strings, arrays of NumPy, and functions, containers and objects
        of Python that hold such are: another iterator, say, is read when JAX compiles them.
    delta : callable, optional
        Only where g is not elementwise: ``delta(xp, Z, dA)`` is dL/dZ given dL/dA, through the
        Jacobian of g. `g_prime` is then None.

    Raises
    ------
    TypeError
        If `name` is no string, or a function cannot be called.
    """

    name: str
    g: Callable[[Namespace, Array], Array]
    g_prime: Callable[[Namespace, Array], Array] | None
    delta: Callable[[Namespace, Array, Array], Array] | None = None

    def __post_init__(self) -> None:
        check_named_functions("Activation", self.name, g=self.g)
        if self.g_prime is not None or self.delta is None:
            check_named_functions("Activation", self.name, g_prime=self.g_prime)
        if self.delta is not None:
            check_named_functions("Activation", self.name, delta=self.delta)

    def __repr__(self) -> str:
        return f"Activation({self.name!r})"


@dataclass(frozen=True)
class Bound:
    """`function` with its last argument filled in; equal, hashed and pickled by value."""

    function: Callable[..., Array]
    constant: float

    def __call__(self, xp: Namespace, *arrays: Array) -> Array:
        return self.function(xp, *arrays, self.constant)


def check_named_functions(kind: str, name: object, **functions: object) -> None:
    """Raise TypeError unless `name` is a string and the `functions` can be called and hashed."""
    if not isinstance(name, str):
        raise TypeError(f"`name` of {kind} is {name!r}; accepted: a string")
    for argument, function in functions.items():
        if not callable(function) or type(function).__hash__ is None:
            raise TypeError(f"`{argument}` of {kind} {name!r} is {function!r}; accepted: a function")


def unit_step(xp: Namespace, Z: Array) -> Array:  # 1 where z >= 0, else 0
    return xp.astype(Z >= 0, Z.dtype)


def identity(xp: Namespace, Z: Array) -> Array:  # z
    return Z


def identity_prime(xp: Namespace, Z: Array) -> Array:  # 1
    return xp.ones_like(Z)


def sigmoid(xp: Namespace, Z: Array) -> Array:  # 1 / (1 + e^-z)
    E = xp.exp(-xp.abs(Z))
    return xp.maximum(E, unit_step(xp, Z)) / (1 + E)


def sigmoid_prime(xp: Namespace, Z: Array) -> Array:  # a (1 - a)
    E = xp.exp(-xp.abs(Z))
    return E / (1 + E) ** 2


def tanh(xp: Namespace, Z: Array) -> Array:  # (e^z - e^-z) / (e^z + e^-z)
    return xp.tanh(Z)


def tanh_prime(xp: Namespace, Z: Array) -> Array:  # 1 - a^2
    E = xp.exp(-xp.abs(Z))
    return (2 * E / (1 + E * E)) ** 2


def relu(xp: Namespace, Z: Array) -> Array:  # max(0, z)
    return xp.maximum(Z, 0.0)


def relu_prime(xp: Namespace, Z: Array) -> Array:  # 1 if z >= 0 else 0
    return unit_step(xp, Z)


def _leaky_relu(xp: Namespace, Z: Array, slope: float) -> Array:  # max(slope z, z)
    return xp.maximum(slope * Z, Z)


def _leaky_relu_prime(xp: Namespace, Z: Array, slope: float) -> Array:  # 1 if z >= 0 else slope
    return xp.maximum(unit_step(xp, Z), slope)


def softmax(xp: Namespace, Z: Array) -> Array:  # e^z_k / sum_j e^z_j
    E = xp.exp(Z - xp.max(Z, axis=-2, keepdims=True))
    return E / xp.sum(E, axis=-2, keepdims=True)


def softmax_delta(xp: Namespace, Z: Array, dA: Array) -> Array:  # da_k/dz_j = a_k (1[j = k] - a_j)
    A = softmax(xp, Z)
    return A * (dA - xp.sum(A * dA, axis=-2, keepdims=True))


def elu(xp: Namespace, Z: Array) -> Array:  # z if z >= 0 else e^z - 1
    return xp.maximum(Z, 0.0) + xp.expm1(xp.minimum(Z, 0.0))


def elu_prime(xp: Namespace, Z: Array) -> Array:  # 1 if z >= 0 else e^z
    return xp.exp(xp.minimum(Z, 0.0))


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al., 2017


def selu(xp: Namespace, Z: Array) -> Array:  # scale z if z >= 0 else scale alpha (e^z - 1)
    return SELU_SCALE * (xp.maximum(Z, 0.0) + SELU_ALPHA * xp.expm1(xp.minimum(Z, 0.0)))


def selu_prime(xp: Namespace, Z: Array) -> Array:  # scale if z >= 0 else scale alpha e^z
    step = unit_step(xp, Z)
    return SELU_SCALE * (step + (1 - step) * (SELU_ALPHA * xp.exp(xp.minimum(Z, 0.0))))


def exp(xp: Namespace, Z: Array) -> Array:  # e^z: positive outputs, the inverse of the log link
    return xp.exp(Z)


def exp_prime(xp: Namespace, Z: Array) -> Array:  # e^z
    return exp(xp, Z)


def softplus(xp: Namespace, Z: Array) -> Array:  # log(1 + e^z)
    return xp.maximum(Z, 0.0) + xp.log1p(xp.exp(-xp.abs(Z)))


def softplus_prime(xp: Namespace, Z: Array) -> Array:  # sigmoid(z)
    return sigmoid(xp, Z)


def silu(xp: Namespace, Z: Array) -> Array:  # z sigmoid(z)
    return Z * sigmoid(xp, Z)


def silu_prime(xp: Namespace, Z: Array) -> Array:  # sigmoid(z) + z sigmoid'(z)
    return sigmoid(xp, Z) + Z * sigmoid_prime(xp, Z)


GELU_C, GELU_K = 2 * math.sqrt(2 / math.pi), 0.044715  # Hendrycks and Gimpel, 2016


def gelu_argument(xp: Namespace, Z: Array) -> tuple[Array, Array]:  # z in [-30, 30], u = C (z + K z^3)
    Z = xp.minimum(xp.maximum(Z, -30.0), 30.0)  # sigmoid(u) is 0 or 1 beyond, and z^3 stays finite
    return Z, GELU_C * (Z + GELU_K * Z * Z * Z)


def gelu(xp: Namespace, Z: Array) -> Array:  # z/2 (1 + tanh(u/2)) = z sigmoid(u)
    _, U = gelu_argument(xp, Z)
    return Z * sigmoid(xp, U)


def gelu_prime(xp: Namespace, Z: Array) -> Array:  # sigmoid(u) + z sigmoid'(u) u',  u' = C (1 + 3 K z^2)
    Z, U = gelu_argument(xp, Z)
    return sigmoid(xp, U) + Z * sigmoid_prime(xp, U) * (GELU_C * (1 + 3 * GELU_K * Z * Z))


def leaky_relu(slope: float = 0.01) -> Activation:
    """max(slope z, z), for a slope in [0, 1]."""
    if isinstance(slope, bool) or not isinstance(slope, numbers.Real) or not 0 <= slope <= 1:
        raise ValueError(f"`slope` of leaky_relu is {slope!r}; accepted: a number in [0, 1]")
    return Activation(
        "leaky_relu", Bound(_leaky_relu, float(slope)), Bound(_leaky_relu_prime, float(slope))
    )


ACTIVATIONS = {
    a.name: a
    for a in (
        Activation("identity", identity, identity_prime),
        Activation("sigmoid", sigmoid, sigmoid_prime),
        Activation("tanh", tanh, tanh_prime),
        Activation("relu", relu, relu_prime),
        leaky_relu(),
        Activation("softmax", softmax, None, softmax_delta),
        Activation("elu", elu, elu_prime),
        Activation("selu", selu, selu_prime),
        Activation("exp", exp, exp_prime),
        Activation("softplus", softplus, softplus_prime),
        Activation("silu", silu, silu_prime),
        Activation("gelu", gelu, gelu_prime),
    )
}
