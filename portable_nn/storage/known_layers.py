"""Networks of layers in files: which layers there are by name, and how large they may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portable_nn.equations import Activation, Loss
from portable_nn.layers import (
    BatchNorm,
    Dense,
    Embedding,
    Layer,
    LayerNorm,
    ParametricActivation,
    Periodic,
    PiecewiseLinear,
    Scale,
    SharedDense,
)
from portable_nn.network import Network

LAYERS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(Dense, SharedDense, Embedding, Periodic, PiecewiseLinear),
        *(Scale, LayerNorm, BatchNorm, ParametricActivation),
    )
}
FEW_NUMBERS = 1 << 20  # in the arrays of a network, that are allowed in a file of any size


def network_of_layers(inputs: Any, layers: Any, loss: Loss, most: int) -> Network:
    """The network that a file describes by a list of layers.

    `most` is how many numbers the arrays of the file hold: no layer has more units, before the
    arrays themselves are looked at. Raises TypeError or ValueError for what is no network of layers.
    """
    if not isinstance(layers, (list, tuple)) or not all(
        isinstance(a, (Layer, Activation)) for a in layers
    ):
        raise TypeError("`layers` are no layers and activations")
    check_sizes(inputs, layers, most)
    return Network((inputs, *layers), loss=loss)


def check_sizes(n: Any, layers: Sequence[Layer | Activation], most: int) -> None:
    """Raise ValueError where layers would take more memory than the file that describes them."""
    for layer in layers:
        if type(n) is not int or not 1 <= n <= most:
            raise ValueError(f"{str(n)[:40]} units, and the arrays have {most} numbers at most")
        n = layer.width(n) if isinstance(layer, Layer) else n
