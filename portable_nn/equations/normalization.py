"""Scales and normalization: each formula, and right under it its derivative.

Z (n, B) comes from below, examples are columns; gamma and beta (n, 1) are a scale and a shift for each
unit; N is Z standardized, over the batch (`axis` -1) or over the units of an example (-2). dY is the
derivative of each example's loss by Y.
"""

from __future__ import annotations

from portable_nn.equations import Array, Namespace


def mean(xp: Namespace, Z: Array, axis: int) -> Array:  # (1/m) sum_i z_i
    return (1 / Z.shape[axis]) * xp.sum(Z, axis=axis, keepdims=True)


def scaled(gamma: Array, Z: Array) -> Array:  # gamma z
    return gamma * Z


def scaled_prime(xp: Namespace, Z: Array, dY: Array) -> Array:  # dJ/dgamma = (1/B) sum_i dy_i z_i
    return mean(xp, dY * Z, -1)


def shifted(Z: Array, beta: Array) -> Array:  # z + beta
    return Z + beta


def shifted_prime(xp: Namespace, dY: Array) -> Array:  # dJ/dbeta = (1/B) sum_i dy_i
    return mean(xp, dY, -1)


def moments(xp: Namespace, Z: Array, axis: int) -> tuple[Array, Array, Array]:
    """mu and sigma^2 = s^2 v over `axis`, as (mu, v, s); s = max |z - mu|: no square overflows."""
    mu = mean(xp, Z, axis)
    s = xp.maximum(xp.max(xp.abs(Z - mu), axis=axis, keepdims=True), 1.0)
    return mu, mean(xp, ((Z - mu) / s) ** 2, axis), s


def running(old: Array, of_batch: Array, share: float) -> Array:  # (1 - share) old + share new
    return (1 - share) * old + share * of_batch


def standardized(Z: Array, mu: Array, root: Array) -> Array:  # (z - mu) / sqrt(sigma^2 + epsilon)
    return (Z - mu) / root


def standardized_prime(dN: Array, root: Array) -> Array:  # where mu and sigma do not depend on z
    return dN / root


def standardized_delta(xp: Namespace, N: Array, root: Array, dN: Array, axis: int) -> Array:
    # where they do: dn_i/dz_j = (1[i = j] - 1/m - n_i n_j / m) / root, for the m entries along the axis
    return (dN - mean(xp, dN, axis) - N * mean(xp, N * dN, axis)) / root
