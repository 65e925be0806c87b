"""Gradients against two-sided differences of the cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portable_nn import checks
from portable_nn.equations import Parameters


def worst_difference(
    J: Callable[[Parameters], Any], params: Parameters, grads: Parameters, epsilon: float
) -> float:
    """max |grads - two-sided differences of J| / max |differences|, over every parameter."""
    worst, largest = 0.0, 0.0
    for l, layer in enumerate(params):
        for k, theta in enumerate(layer):
            host, analytic = checks.to_host(theta), checks.to_host(grads[l][k])
            numeric = np.empty(host.size)
            for start in range(0, host.size, 64):  # so many networks in one pass
                entries = np.arange(start, min(start + 64, host.size))
                shift = np.zeros((len(entries), host.size), host.dtype)
                shift[np.arange(len(entries)), entries] = epsilon
                shift = shift.reshape(-1, *host.shape)
                sides = []
                for moved in (host + shift, host - shift):
                    pair = list(layer)
                    pair[k] = checks.beside(theta, moved)
                    sides.append(J([*params[:l], tuple(pair), *params[l + 1 :]]))
                numeric[entries] = (sides[0] - sides[1]) / (2 * epsilon)
            worst = max(worst, float(np.max(np.abs(numeric - analytic.ravel()))))
            largest = max(largest, float(np.max(np.abs(numeric))))
    return worst / largest if largest else worst
