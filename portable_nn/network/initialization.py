"""Initial parameters, drawn once on the host in float64: the same on every backend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from portable_nn.checks import check_whole
from portable_nn.checks.numbers import check_fits, scalar
from portable_nn.equations import Activation

SCHEMES = ("auto", "glorot", "he", "normal")
RELU_FAMILY = ("relu", "leaky_relu", "elu", "selu", "softplus", "silu", "gelu", "mish", "hard_swish")


def count_parameters(sizes: Sequence[int]) -> int:
    """How many numbers W and b of all layers have."""
    return sum(n_out * (n_in + 1) for n_in, n_out in pairwise(sizes))


def draw(
    sizes: Sequence[int], g: Sequence[Activation], seed: Any, scheme: str, stack: tuple[int, ...]
) -> list[tuple[Any, Any]]:
    """[(W[l], b[l])] as NumPy arrays, each network of the stack from its own seed."""
    asked = ("stack", stack) if stack else ("sizes", tuple(sizes))
    check_fits(*asked, count_parameters(sizes) * math.prod(stack))
    networks = [_weights(sizes, g, s, scheme) for s in seeds(seed, stack)]
    params = []
    for l, (n_in, n_out) in enumerate(pairwise(sizes)):
        W = np.reshape(np.stack([weights[l] for weights in networks]), (*stack, n_out, n_in))
        params.append((W, np.zeros((*stack, n_out, 1))))
    return params


def _weights(sizes: Sequence[int], g: Sequence[Activation], seed: int, scheme: str) -> list[Any]:
    """W[1..L] of one network."""
    random = np.random.default_rng(seed)
    layers = zip(sizes[:-1], sizes[1:], g, strict=True)
    return [
        spread(scheme, n_in, n_out, activation.name) * random.standard_normal((n_out, n_in))
        for n_in, n_out, activation in layers
    ]


def spread(scheme: str, n_in: int, n_out: int, activation: str) -> float:
    """The standard deviation of the entries of W[l]."""
    if scheme == "normal":
        return 0.01
    if scheme == "he" or (scheme == "auto" and activation in RELU_FAMILY):
        return math.sqrt(2 / n_in)
    return math.sqrt(2 / (n_in + n_out))


def seeds(seed: Any, stack: tuple[int, ...]) -> list[int]:
    """One seed per network of the stack."""
    count = math.prod(stack)
    seed = scalar(seed)
    if isinstance(seed, (tuple, list, np.ndarray)):
        given = list(np.ravel(np.asarray(seed, dtype=object)))
        if len(given) != count or not stack:
            raise ValueError(
                f"`seed` holds {len(given)} seeds; accepted: an int, or {count} for `stack`"
            )
        return [check_whole("seed", s, 0, high=None) for s in given]
    first = check_whole("seed", seed, 0, high=None)
    return [first + k for k in range(count)]
