"""The activations: each function g, and right under it its derivative g'.

Shapes: Z is (..., n_l, B), examples are columns; the result has the shape and dtype of Z. Every
function but exp is finite and right for every finite Z up to half of the largest number of its dtype:
E = e^-|z| is in [0, 1] and cannot overflow. At z = 0 the names "relu" and "leaky_relu" have the
derivative 1, as in the source; `relu(at_zero=0.0)` has that of scikit-learn, torch, JAX and TensorFlow.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
        each epoch; on JAX not what they change, or draw at random, themselves.
    delta : callable, optional
        Only where g is not elementwise: ``delta(xp, Z, dA)`` is dL/dZ given dL/dA, through the
        Jacobian of g. `g_prime` is then None.

    Raises
    ------
    TypeError
        If `name` is not a string, or a function cannot be called.

    Notes
    -----
    To be pickled the functions have to be defined in a module; cloudpickle, and so joblib's processes,
    take lambdas too.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> cube = pnn.Activation("cube", lambda xp, Z: Z**3, lambda xp, Z: 3 * Z**2)
    >>> pnn.Network((2, 3, 1), (cube, "identity"), "squared_error").g
    (Activation('cube'), Activation('identity'))
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
        return named("Activation", self.name, self.g_prime, self == ACTIVATIONS.get(self.name))


@dataclass(frozen=True, init=False)
class Bound:
    """`function` with its last arguments filled in; equal, hashed and pickled by value.

    Parameters
    ----------
    function : callable
        ``function(xp, *arrays, *constants)``.
    *constants : float
        Its last arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from portable_nn.equations import Bound
    >>> def power(xp, Z, p):
    ...     return Z**p
    >>> Bound(power, 2.0)(np, np.array([3.0])), Bound(power, 2.0) == Bound(power, 2.0)
    (array([9.]), True)
    """

    function: Callable[..., Array]
    constants: tuple[float, ...]

    def __init__(self, function: Callable[..., Array], *constants: float) -> None:
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "constants", constants)

    def __call__(self, xp: Namespace, *arrays: Array) -> Array:
        return self.function(xp, *arrays, *self.constants)


def named(kind: str, name: str, function: object, is_usual: bool) -> str:
    """Its representation: with the constants of `function`, unless they are the usual ones."""
    constants = () if is_usual or not isinstance(function, Bound) else function.constants
    return f"{kind}({name!r}, constants={constants})" if constants else f"{kind}({name!r})"


def check_named_functions(kind: str, name: object, **functions: object) -> None:
    """Raise TypeError unless `name` is a string and the `functions` can be called and hashed."""
    if not isinstance(name, str):
        raise TypeError(f"`name` of {kind} is {name!r}; accepted: a string")
    for argument, function in functions.items():
        if not callable(function) or type(function).__hash__ is None:
            raise TypeError(f"`{argument}` of {kind} {name!r} is {function!r}; accepted: a function")


def unit_step(xp: Namespace, Z: Array) -> Array:  # 1 where z >= 0, else 0
    return xp.astype(Z >= 0, Z.dtype)


def step(xp: Namespace, Z: Array, at_zero: float) -> Array:  # 1 if z > 0 else at_zero if z = 0 else 0
    if at_zero == 1:
        return unit_step(xp, Z)
    above = xp.astype(Z > 0, Z.dtype)
    return above if at_zero == 0 else xp.maximum(above, at_zero * unit_step(xp, Z))


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


def _relu(xp: Namespace, Z: Array) -> Array:  # max(0, z)
    return xp.maximum(Z, 0.0)


def _relu_prime(xp: Namespace, Z: Array, at_zero: float) -> Array:  # the source's: 1 if z >= 0 else 0
    return step(xp, Z, at_zero)


def _leaky_relu(xp: Namespace, Z: Array, slope: float) -> Array:  # max(slope z, z)
    return xp.maximum(slope * Z, Z)


def _leaky_relu_prime(xp: Namespace, Z: Array, slope: float, at_zero: float) -> Array:
    return xp.maximum(step(xp, Z, at_zero), slope)  # the source's: 1 if z >= 0 else slope


def softmax(xp: Namespace, Z: Array) -> Array:  # e^z_k / sum_j e^z_j
    E = xp.exp(Z - xp.max(Z, axis=-2, keepdims=True))
    return E / xp.sum(E, axis=-2, keepdims=True)


def softmax_delta(xp: Namespace, Z: Array, dA: Array) -> Array:  # da_k/dz_j = a_k (1[j = k] - a_j)
    A = softmax(xp, Z)
    D = dA - xp.sum(A * dA, axis=-2, keepdims=True)  # its mean is 0 but for rounding: subtracted too
    return A * (D - xp.sum(A * D, axis=-2, keepdims=True))


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


def mish_parts(xp: Namespace, Z: Array) -> tuple[Array, Array]:  # tanh(log(1 + e^z)) = n / (n + r)
    E, above = xp.exp(-xp.abs(Z)), unit_step(xp, Z)  # n = e^2z + 2 e^z, r = 2; over e^2z where z >= 0
    return 2 * E + xp.maximum(E * E, above), 2 * xp.maximum(E * E, 1 - above)


def mish(xp: Namespace, Z: Array) -> Array:  # z tanh(log(1 + e^z)) (Misra, 2019)
    N, R = mish_parts(xp, Z)
    return Z * (N / (N + R))


def mish_prime(xp: Namespace, Z: Array) -> Array:  # t + z sigmoid(z) (1 - t^2), t = n / (n + r)
    N, R = mish_parts(xp, Z)
    D = N + R
    return N / D + Z * sigmoid(xp, Z) * ((R / D) * ((N + D) / D))


def hard_swish(xp: Namespace, Z: Array) -> Array:  # z min(max(z + 3, 0), 6) / 6 (Howard et al., 2019)
    return Z * (xp.minimum(xp.maximum(Z + 3, 0.0), 6.0) / 6)


def hard_swish_prime(xp: Namespace, Z: Array) -> Array:  # (2z + 3) / 6 if |z| < 3 else 1[z >= 3]
    return xp.where(xp.abs(Z) < 3, (2 * Z + 3) / 6, unit_step(xp, Z))


def relu(at_zero: float = 1.0) -> Activation:
    """max(0, z), with the derivative `at_zero` at z = 0.

    It matters where z is exactly 0: where the units below are dead, or the inputs of an example are
    zeros, and the bias is 0.

    Parameters
    ----------
    at_zero : float
        In [0, 1]. 1, the name "relu" everywhere in `Network`, is the source's; 0 is what scikit-learn,
        torch, JAX and TensorFlow take, and the estimators.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If `at_zero` is not a number in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> Z = np.array([-1.0, 0.0, 1.0])
    >>> pnn.relu().g_prime(np, Z), pnn.relu(at_zero=0.0).g_prime(np, Z)
    (array([0., 1., 1.]), array([0., 0., 1.]))
    """
    return Activation("relu", _relu, Bound(_relu_prime, within("at_zero of relu", at_zero, 0.0)))


def leaky_relu(slope: float = 0.01, at_zero: float = 1.0) -> Activation:
    """max(slope z, z), with the derivative `at_zero` at z = 0.

    Parameters
    ----------
    slope : float
        In [0, 1]: the derivative where z < 0.
    at_zero : float
        In [slope, 1]. 1 is the source's and JAX's, the slope that of torch and TensorFlow.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        If a number is not in its interval.

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> pnn.leaky_relu(slope=0.5).g(np, np.array([-2.0, 0.0, 2.0]))
    array([-1.,  0.,  2.])
    """
    slope = within("slope of leaky_relu", slope, 0.0)
    at_zero = within("at_zero of leaky_relu", at_zero, slope)
    return Activation("leaky_relu", Bound(_leaky_relu, slope), Bound(_leaky_relu_prime, slope, at_zero))


def number(value: Any) -> Any:
    """The number in an array of no axis, of any library; anything else as it is."""
    return float(value) if getattr(value, "shape", None) == () else value


def within(what: str, value: float, low: float) -> float:
    """`value` as a float; ValueError unless it is a number in [low, 1]."""
    value = number(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not low <= value <= 1:
        name, of, function = what.split()
        raise ValueError(f"`{name}` {of} {function} is {value!r}; accepted: a number in [{low:g}, 1]")
    return float(value)


ACTIVATIONS = {
    a.name: a
    for a in (
        Activation("identity", identity, identity_prime),
        Activation("sigmoid", sigmoid, sigmoid_prime),
        Activation("tanh", tanh, tanh_prime),
        relu(),
        leaky_relu(),
        Activation("softmax", softmax, None, softmax_delta),
        Activation("elu", elu, elu_prime),
        Activation("selu", selu, selu_prime),
        Activation("exp", exp, exp_prime),
        Activation("softplus", softplus, softplus_prime),
        Activation("silu", silu, silu_prime),
        Activation("gelu", gelu, gelu_prime),
        Activation("mish", mish, mish_prime),
        Activation("hard_swish", hard_swish, hard_swish_prime),
    )
}
