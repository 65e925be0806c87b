"""Initial parameters from one batch: every unit's values have the mean 0 and the variance 1 on it.

Source: data-dependent initialization (Salimans and Kingma, 2016; Mishkin and Matas, 2016).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_nn.backends import get
from portable_nn.equations import Activation
from portable_nn.equations.normalization import moments
from portable_nn.layers.described import Layers

LEAST = 1e-6  # a unit that varies less, as for a constant input, keeps its scale


def standardized_by(
    layers: Layers, params: list[tuple[Any, ...]], X: np.ndarray[Any, Any]
) -> list[tuple[Any, ...]]:
    """The parameters after one pass of the rows X (B, n_0) in float64, on the host.

    Where a layer has a scale or a shift of its units (`Layer.standardizing`), they are set.
    """
    xp, given, found = get("numpy").xp, iter(params), []
    A: Any = X.astype("float64").T
    *inner, _ = layers
    for layer in inner:
        if isinstance(layer, Activation):
            A = layer.g(xp, A)
            continue
        has_arrays = bool(layer.parameters(A.shape[-2]))
        theta: Any = next(given) if has_arrays else ()
        Z, _ = layer.forward_in_training(xp, theta, A)
        mu, v, s = moments(xp, Z, -1)
        deviation: Any = s * xp.sqrt(v)
        theta = layer.standardizing(theta, mu, np.where(deviation < LEAST, 1.0, deviation))
        A, _ = layer.forward_in_training(xp, theta, A)
        if has_arrays:
            found.append(tuple(theta))
    return found
