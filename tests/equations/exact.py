"""What the equations are compared with in extreme places: mpmath with 60 digits."""

from __future__ import annotations

import mpmath
import numpy as np

mpmath.mp.dps = 60

PLACES = [0.0, 1e-30, 1e-8, 0.1, 1, 3, 8, 17, 20, 40, 80, 100, 300, 700, 1e4, 1e30]


SELU_SCALE = mpmath.mpf("1.0507009873554804934193349852946")
SELU_ALPHA = mpmath.mpf("1.6732632423543772848170429916717")


def _sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


def _gelu(z):
    return z * _sigmoid(2 * mpmath.sqrt(2 / mpmath.pi) * (z + mpmath.mpf("0.044715") * z**3))


def _gelu_prime(z):
    c, k = 2 * mpmath.sqrt(2 / mpmath.pi), mpmath.mpf("0.044715")
    s = _sigmoid(c * (z + k * z**3))
    return s + z * s * _sigmoid(-c * (z + k * z**3)) * c * (1 + 3 * k * z**2)


def _softplus(z):
    return mpmath.log1p(mpmath.exp(z))


def _mish_prime(z):
    return mpmath.tanh(_softplus(z)) + z * mpmath.sech(_softplus(z)) ** 2 * _sigmoid(z)


EXACT = {  # g and g' in mpmath, written anew
    "identity": (lambda z: z, lambda z: 1),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
    "tanh": (mpmath.tanh, lambda z: mpmath.sech(z) ** 2),
    "relu": (lambda z: max(z, 0), lambda z: int(z >= 0)),
    "leaky_relu": (lambda z: z if z >= 0 else z * 0.01, lambda z: 1 if z >= 0 else 0.01),
    "elu": (
        lambda z: z if z >= 0 else mpmath.expm1(z),
        lambda z: 1 if z >= 0 else mpmath.exp(z),
    ),
    "selu": (
        lambda z: SELU_SCALE * (z if z >= 0 else SELU_ALPHA * mpmath.expm1(z)),
        lambda z: SELU_SCALE * (1 if z >= 0 else SELU_ALPHA * mpmath.exp(z)),
    ),
    "softplus": (lambda z: mpmath.log1p(mpmath.exp(z)), _sigmoid),
    "silu": (
        lambda z: z * _sigmoid(z),
        lambda z: _sigmoid(z) * (1 + z * _sigmoid(-z)),
    ),
    "gelu": (_gelu, _gelu_prime),
    "mish": (lambda z: z * mpmath.tanh(_softplus(z)), _mish_prime),
    "hard_swish": (
        lambda z: z * min(max(z + 3, 0), 6) / 6,
        lambda z: (2 * z + 3) / 6 if abs(z) < 3 else int(z > 0),
    ),
    "exp": (mpmath.exp, mpmath.exp),
}


def close_to_the_truth(actual, truth, dtype):
    """Right to a relative error, or less than the smallest normal number away."""
    info = np.finfo(dtype)
    tolerance = 3e-13 if dtype == "float64" else 2e-5
    assert np.all(np.isfinite(actual))
    for a, exact in zip(np.ravel(actual), truth, strict=True):
        error = abs(mpmath.mpf(float(a)) - exact)
        assert error <= tolerance * abs(exact) + float(info.smallest_normal), (float(a), exact)
