"""Encodings of numbers, and the share of an activation: each formula with its derivative under it."""

from __future__ import annotations

from portable_nn.equations import Activation, Array, Namespace
from portable_nn.equations.activations import unit_step


def cosine(xp: Namespace, Z: Array) -> Array:  # cos z
    return xp.cos(Z)


def cosine_prime(xp: Namespace, Z: Array) -> Array:  # -sin z
    return -xp.sin(Z)


COSINE = Activation("cosine", cosine, cosine_prime)


def piecewise_linear(xp: Namespace, U: Array, first: Array, last: Array) -> Array:
    # min(max(u, 0), 1), u being how far x is through a bin; beyond the first and the last bin the line
    # goes on (Gorishniy et al., 2022): `first` and `last` (M, 1) are 1 for these bins, else 0
    within = xp.minimum(xp.maximum(U, 0.0), 1.0)
    return within + first * xp.minimum(U, 0.0) + last * xp.maximum(U - 1, 0.0)


def piecewise_linear_prime(xp: Namespace, U: Array, first: Array, last: Array) -> Array:
    below, above = unit_step(xp, -U), unit_step(xp, U - 1)  # 1 inside, and beyond where the line goes on
    return (1 - xp.maximum(below, above)) + first * below + last * above


def shared_out(alpha: Array, Z: Array, G: Array) -> Array:  # (1 - alpha) z + alpha g(z)
    return (1 - alpha) * Z + alpha * G


def shared_out_prime(alpha: Array, slope: Array) -> Array:  # by z, slope being g'(z); by alpha: g(z) - z
    return (1 - alpha) + alpha * slope
