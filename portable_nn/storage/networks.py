"""Parameters as values of a document, named as in the equations: params.1.W, params.1.b, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_nn.backends import dtype_name
from portable_nn.checks.arrays import FLOATS
from portable_nn.equations import Parameters
from portable_nn.network import Network
from portable_nn.network.parameters import check_parameters
from portable_nn.storage.refusal import Unreadable


def layers_from_values(values: Any, net: Network, what: str = "params") -> Parameters:
    """[(W[1], b[1]), ...] on the host; Unreadable unless they have the shapes of the network's.

    All of them are float32, or all float64.
    """
    wanted = [[array.symbol for array in layer.arrays] for layer in net.described.layers]
    L = len(wanted)
    if not isinstance(values, dict) or list(values) != [str(l) for l in range(1, L + 1)]:
        raise Unreadable(f"`{what}` has not the {L} layers of its network")
    for layer, symbols in zip(values.values(), wanted, strict=True):
        if not isinstance(layer, dict) or list(layer) != symbols:
            raise Unreadable(f"`{what}` has a layer that is not {' and '.join(symbols)}")
    params = [tuple(layer.values()) for layer in values.values()]
    arrays = [array for layer in params for array in layer]
    if not all(isinstance(array, np.ndarray) for array in arrays):
        raise Unreadable(f"`{what}` has something else than arrays")
    dtypes = {dtype_name(array.dtype) for array in arrays}
    if len(dtypes) != 1 or not dtypes <= set(FLOATS):
        raise Unreadable(f"`{what}` has arrays of dtype {', '.join(sorted(dtypes))}")
    try:
        check_parameters(net.described, net.loss, params).check_signs()
    except (TypeError, ValueError) as error:
        raise Unreadable(f"`{what}` does not suit its network: {error}") from None
    return params
