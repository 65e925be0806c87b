"""Gradients against two-sided differences of the cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portable_nn import backends
from portable_nn.equations import Parameters


def worst_difference(
    J: Callable[[Parameters], Any], params: Parameters, grads: Parameters, epsilon: float
) -> float:
    """max |grads - two-sided differences of J| / max |differences|, over every parameter.

    Where J has a kink, its one-sided differences part, and every value between them is right.
    """
    here = float(J(params))
    found = [
        (*_differences(J, params, l, k, here, epsilon), backends.to_host(grads[l][k]).ravel())
        for l, layer in enumerate(params)
        for k in range(len(layer))
    ]
    largest = max(float(np.max(np.abs(both))) for _, both, _, _ in found)
    worst = 0.0
    for left, both, right, analytic in found:
        low, high = np.minimum(left, right), np.maximum(left, right)
        outside = np.maximum(np.maximum(low - analytic, analytic - high), 0)
        is_kink = high - low > 1e-3 * largest
        worst = max(worst, float(np.max(np.where(is_kink, outside, np.abs(both - analytic)))))
    return worst / largest if largest else worst


def _differences(
    J: Callable[[Parameters], Any], params: Parameters, l: int, k: int, here: float, h: float
) -> tuple[Any, Any, Any]:
    """dJ for each entry of params[l][k]: from the left, two-sided, and from the right, to order h^2."""
    theta = params[l][k]
    host = backends.to_host(theta)
    J_at = {steps: np.empty(host.size) for steps in (-2, -1, 1, 2)}
    for start in range(0, host.size, 64):  # so many networks in one pass, as a stack
        entries = np.arange(start, min(start + 64, host.size))
        shift = np.zeros((len(entries), host.size), host.dtype)
        shift[np.arange(len(entries)), entries] = h
        for steps, values in J_at.items():
            layer = list(params[l])
            layer[k] = backends.of(theta).asarray(
                host + steps * shift.reshape(-1, *host.shape), dtype=theta.dtype
            )
            values[entries] = J([*params[:l], tuple(layer), *params[l + 1 :]])
    left = (3 * here - 4 * J_at[-1] + J_at[-2]) / (2 * h)
    right = (-3 * here + 4 * J_at[1] - J_at[2]) / (2 * h)
    return left, (J_at[1] - J_at[-1]) / (2 * h), right
