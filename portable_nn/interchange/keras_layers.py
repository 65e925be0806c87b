"""Layers of Keras beside activations, both ways."""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_nn.compiler.signatures import HostArray
from portable_nn.interchange.layers import Chain
from portable_nn.interchange.parts import Part
from portable_nn.layers import BatchNorm, Dense, Layer, LayerNorm

NORMALIZATIONS = ("BatchNormalization", "LayerNormalization")


def layer_of(keras: Any, part: Part, dtype: str) -> tuple[Any, list[HostArray]]:
    """The layer of Keras, and its weights; TypeError for a layer that it has none for."""
    layer, named = part.layer, part.named()
    vectors = [array[:, 0] for symbol, array in named.items() if symbol != "W"]
    if isinstance(layer, Dense):
        made = keras.layers.Dense(layer.units, use_bias=layer.bias, dtype=dtype)
        return made, [named["W"].T, *vectors]
    if type(layer) is BatchNorm:
        share = one_less(layer.momentum)
        made = keras.layers.BatchNormalization(momentum=share, epsilon=layer.epsilon, dtype=dtype)
        return made, vectors
    if type(layer) is LayerNorm:
        return keras.layers.LayerNormalization(epsilon=layer.epsilon, dtype=dtype), vectors
    raise TypeError(
        f"{part.described} has no counterpart in Keras; accepted: dense layers, BatchNorm, LayerNorm"
    )


def add_normalization(chain: Chain, where: str, layer: Any) -> None:
    """Add a normalization to the chain; ValueError for settings that have no counterpart."""
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    if (
        axes not in ([-1], [1])
        or getattr(layer, "rms_scaling", False)
        or getattr(layer, "renorm", False)
    ):
        raise ValueError(
            f"{where} normalizes other axes, or in another way; accepted: axis=-1, without rms_scaling "
            "and renorm"
        )
    n = chain.widths[-1] if chain.layers else int(layer.input.shape[-1])
    given = [np.asarray(each) for each in layer.get_weights()]
    gamma = given.pop(0) if layer.scale else np.ones(n, layer.compute_dtype)
    beta = given.pop(0) if layer.center else np.zeros(n, layer.compute_dtype)
    ours: Layer = LayerNorm(epsilon=layer.epsilon)
    if type(layer).__name__ == "BatchNormalization":
        if not 0 <= layer.momentum < 1:
            raise ValueError(f"{where} has the momentum {layer.momentum}; accepted: from 0 to below 1")
        ours = BatchNorm(momentum=one_less(layer.momentum), epsilon=layer.epsilon)
    chain.add(where, ours, n, gamma, beta, *given)


def one_less(momentum: float) -> float:
    """1 - momentum, without digits that the subtraction alone brings in."""
    return round(1 - momentum, 15)
