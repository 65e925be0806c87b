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


def worst_difference(J: Cost, params: Parameters, grads: Parameters, epsilon: float) -> float:
    """max |grads - two-sided differences of J| / max |differences|, over every trained parameter.

    Where J has a kink, its one-sided differences part, and every value between them is right.
    """
    here = float(J(params))
    each = [g for layer in grads for g in layer]  # None for what is not trained
    found = [
        (*differences(J, params, place, here, epsilon), to_host(g).ravel())
        for place, g in enumerate(each)
        if g is not None
    ]
    largest = max(float(np.max(np.abs(both))) for _, both, _, _ in found)
    worst = 0.0
    for left, both, right, analytic in found:
        low, high = np.minimum(left, right), np.maximum(left, right)
        outside = np.maximum(np.maximum(low - analytic, analytic - high), 0)
        is_kink = high - low > 1e-3 * largest
        worst = max(worst, float(np.max(np.where(is_kink, outside, np.abs(both - analytic)))))
    return worst / largest if largest else worst


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
