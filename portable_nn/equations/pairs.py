"""Pairs of an output activation and a loss that are computed from Z, each value with its Delta under it.

Where A has rounded to 0 or 1, a logarithm of it is lost, and so is the product of 1/a and g'. The
logarithms of a and of a / (1 - a), as functions of Z, are not. A loss's matched activation, whose
Delta[L] is A - Y, needs no entry in this table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from portable_nn.equations.activations import (
    ACTIVATIONS,
    sigmoid,
    sigmoid_prime,
    softmax,
    softplus,
    unit_step,
)
from portable_nn.equations.arrays import Array, Namespace
from portable_nn.equations.losses import LOSSES, binary_cross_entropy_from_Z, log_softmax, positive


class Pair(NamedTuple):
    """``value(xp, Z, Y)``, the terms of L_i, and ``delta(xp, Z, Y)``, their derivative dL/dZ."""

    value: Callable[[Namespace, Array, Array], Array]
    delta: Callable[[Namespace, Array, Array], Array]


# ---- logarithms of activations -------------------------------------------------------------------


def log_sigmoid(xp: Namespace, Z: Array) -> Array:  # log a = -log(1 + e^-z)
    return xp.minimum(Z, 0.0) - xp.log1p(xp.exp(-xp.abs(Z)))


def log_sigmoid_prime(xp: Namespace, Z: Array) -> Array:  # 1 - a = sigmoid(-z)
    return sigmoid(xp, -Z)


def softplus_parts(xp: Namespace, Z: Array) -> tuple[Array, Array, Array]:
    """E, F, S with e^-|z| = E, e^min(z, 0) = F and softplus(z) = S; S/F is 1 where E would be 0."""
    E = positive(xp, xp.exp(-xp.abs(Z)))
    return E, xp.maximum(E, unit_step(xp, Z)), xp.maximum(Z, 0.0) + xp.log1p(E)


def log_softplus(xp: Namespace, Z: Array) -> Array:  # log a = log log(1 + e^z)
    _, F, S = softplus_parts(xp, Z)
    return xp.minimum(Z, 0.0) + xp.log(S / F)


def log_softplus_prime(xp: Namespace, Z: Array) -> Array:  # sigmoid(z) / a
    E, F, S = softplus_parts(xp, Z)
    return F / S / (1 + E)


def log_softmax_delta(xp: Namespace, Z: Array, dN: Array) -> Array:  # d log a_k/dz_j = 1[j = k] - a_j
    return dN - softmax(xp, Z) * xp.sum(dN, axis=-2, keepdims=True)


# ---- poisson: L = a - y + y log(y/a), with dL/d log a = a - y ------------------------------------


def poisson_of_log(xp: Namespace, A: Array, log_A: Array, Y: Array) -> Array:
    return A - Y + Y * (xp.log(positive(xp, Y)) - log_A)


def sigmoid_poisson(xp: Namespace, Z: Array, Y: Array) -> Array:
    return poisson_of_log(xp, sigmoid(xp, Z), log_sigmoid(xp, Z), Y)


def sigmoid_poisson_delta(xp: Namespace, Z: Array, Y: Array) -> Array:
    return sigmoid_prime(xp, Z) - Y * log_sigmoid_prime(xp, Z)


def softplus_poisson(xp: Namespace, Z: Array, Y: Array) -> Array:
    return poisson_of_log(xp, softplus(xp, Z), log_softplus(xp, Z), Y)


def softplus_poisson_delta(xp: Namespace, Z: Array, Y: Array) -> Array:
    return sigmoid(xp, Z) - Y * log_softplus_prime(xp, Z)


def softmax_poisson(xp: Namespace, Z: Array, Y: Array) -> Array:
    return poisson_of_log(xp, softmax(xp, Z), log_softmax(xp, Z), Y)


def softmax_poisson_delta(xp: Namespace, Z: Array, Y: Array) -> Array:
    return log_softmax_delta(xp, Z, softmax(xp, Z) - Y)


# ---- binary cross-entropy with softmax: of the logits x_k = log(a_k / (1 - a_k)), dL/dx = a - y ---


def softmax_rivals(xp: Namespace, Z: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
    """u, G, E, R, H, Q: what sum_{j != k} e^z_j is computed from, also where one e^z_k is nearly all.

    u is 1 for the largest z, unless it has an equal, else 0. G says how far each z is below it, H how
    far the second. E = e^-G; R = sum_{j != k} E_j where u is 0, else 1; Q = e^(H - G) there, else 0.
    """
    G = xp.max(Z, axis=-2, keepdims=True) - Z
    is_top = xp.astype(G == 0, Z.dtype)
    u = is_top * xp.astype(xp.sum(is_top, axis=-2, keepdims=True) == 1, Z.dtype)
    E = xp.exp(-G)
    R = (1 - u) * (xp.sum(E, axis=-2, keepdims=True) - E) + u
    H = -xp.max(-(G + u * xp.max(G, axis=-2, keepdims=True)), axis=-2, keepdims=True)
    return u, G, E, R, H, (1 - u) * xp.exp(xp.minimum(H - G, 0.0))


def softmax_logit(xp: Namespace, Z: Array) -> Array:  # x_k = z_k - log sum_{j != k} e^z_j
    u, G, _, R, H, Q = softmax_rivals(xp, Z)
    n = positive(xp, xp.sum(Q, axis=-2, keepdims=True))
    return u * (H - xp.log(n)) - G - xp.log(R)


def softmax_logit_delta(xp: Namespace, Z: Array, dX: Array) -> Array:
    """With dx_k/dz_j = -e^z_j / sum_{i != k} e^z_i for j != k, and 1 for j = k."""
    u, _, E, R, _, Q = softmax_rivals(xp, Z)
    P = Q / positive(xp, xp.sum(Q, axis=-2, keepdims=True))
    C = (1 - u) * dX / R
    C = xp.sum(C, axis=-2, keepdims=True) - C
    return dX - E * C - P * xp.sum(u * dX, axis=-2, keepdims=True)


def softmax_binary_cross_entropy(xp: Namespace, Z: Array, Y: Array) -> Array:
    return binary_cross_entropy_from_Z(xp, softmax_logit(xp, Z), Y)


def softmax_binary_cross_entropy_delta(xp: Namespace, Z: Array, Y: Array) -> Array:
    return softmax_logit_delta(xp, Z, softmax(xp, Z) - Y)


PAIRS = {
    (ACTIVATIONS[g], LOSSES[loss]): Pair(value, delta)
    for g, loss, value, delta in (
        ("sigmoid", "poisson", sigmoid_poisson, sigmoid_poisson_delta),
        ("softplus", "poisson", softplus_poisson, softplus_poisson_delta),
        ("softmax", "poisson", softmax_poisson, softmax_poisson_delta),
        (
            "softmax",
            "binary_cross_entropy",
            softmax_binary_cross_entropy,
            softmax_binary_cross_entropy_delta,
        ),
    )
}
