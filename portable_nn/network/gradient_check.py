"""Gradients against two-sided differences of the cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.backends import of, to_host
from portable_nn.equations import Parameters

AT_ONCE = 64  # networks in one pass, as a stack

Host = np.ndarray[Any, Any]
Cost = Callable[[Parameters], Any]


def relative_errors(J: Cost, params: Parameters, grads: Parameters, epsilon: float) -> list[Host | None]:
    """For each array |grads - two-sided differences of J| / max |differences|; None if not trained.

    The maximum is that over all parameters. Where J has a kink, its one-sided differences part, and
    every value between them is right.
    """
    here = float(J(params))
    each = [None if g is None else to_host(g) for layer in grads for g in layer]
    found = [
        differences(J, params, place, here, epsilon) for place, g in enumerate(each) if g is not None
    ]
    largest = float(np.max([np.max(np.abs(both)) for _, both, _ in found])) or 1.0
    measured = iter(found)
    return [None if g is None else errors(g, *next(measured), largest) for g in each]


def errors(gradient: Host, left: Host, both: Host, right: Host, largest: float) -> Host:
    """Those of one array, relative to the largest difference of all, in its shape."""
    analytic = gradient.ravel()
    low, high = np.minimum(left, right), np.maximum(left, right)
    outside = np.maximum(np.maximum(low - analytic, analytic - high), 0)
    is_kink = high - low > 1e-3 * largest
    apart = np.where(is_kink, outside, np.abs(analytic - both))
    return np.reshape(apart / largest, gradient.shape)


def differences(
    J: Cost, params: Parameters, place: int, here: float, h: float
) -> tuple[Host, Host, Host]:
    """dJ for each entry of the array number `place`: from the left, two-sided, from the right.

    To the order h^2; `here` is J(params).
    """
    thetas, form = trees.flatten(params)
    theta = thetas[place]
    host = to_host(theta)
    J_at = {steps: np.empty(host.size) for steps in (-2, -1, 1, 2)}
    for start in range(0, host.size, AT_ONCE):
        entries = np.arange(start, min(start + AT_ONCE, host.size))
        shift = np.zeros((len(entries), host.size), host.dtype)
        shift[np.arange(len(entries)), entries] = h
        for steps, values in J_at.items():
            moved = host + steps * shift.reshape(-1, *host.shape)
            thetas[place] = of(theta).asarray(moved, dtype=theta.dtype)
            values[entries] = J(trees.unflatten(form, thetas))
    left = (3 * here - 4 * J_at[-1] + J_at[-2]) / (2 * h)
    right = (-3 * here + 4 * J_at[1] - J_at[2]) / (2 * h)
    return left, (J_at[1] - J_at[-1]) / (2 * h), right
