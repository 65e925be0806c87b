"""Networks put together from the layers of other libraries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from portable_nn.backends import Backend, get
from portable_nn.checks.functions import look_up
from portable_nn.compiler.signatures import HostArray
from portable_nn.equations import ACTIVATIONS, Activation, Bound, Loss, Parameters, leaky_relu, relu
from portable_nn.layers import Dense, Layer
from portable_nn.network import Network

LOSSES = {"sigmoid": "binary_cross_entropy", "softmax": "categorical_cross_entropy"}  # of an output
RELU = relu(at_zero=0.0)  # as the other libraries differentiate it


class Chain:
    """Layers and activations in their order, as another library's model goes through them."""

    def __init__(self) -> None:
        self.layers: list[Layer | Activation] = []
        self.arrays: list[tuple[HostArray, ...]] = []  # of the layers
        self.widths: list[int] = []  # the number of inputs, and the units of each layer

    def add(self, where: str, layer: Layer, n: int, *arrays: HostArray) -> None:
        """A layer above n units, with its arrays; ValueError where the one before gives another number.

        Arrays with a number for each unit may have one axis.
        """
        if self.layers and self.widths[-1] != n:
            raise ValueError(
                f"{where} takes {n} inputs, and the layer before it gives {self.widths[-1]}"
            )
        self.widths += [layer.width(n)] if self.layers else [n, layer.width(n)]
        self.layers.append(layer)
        self.arrays.append(arrays)

    def add_dense(self, where: str, W: HostArray, b: HostArray | None) -> None:
        """A dense layer, W (n_out, n_in) and b (n_out,) or none; raises as `add` does."""
        self.add(where, Dense(W.shape[0], b is not None), W.shape[1], W, *([] if b is None else [b]))

    def add_activation(self, where: str, g: Activation) -> None:
        """An activation; ValueError where there is no layer, or it has one already."""
        if not self.layers:
            raise ValueError(f"{where} stands before any dense layer; accepted: dense layers first")
        if g == ACTIVATIONS["identity"]:
            return
        last = self.layers[-1]
        if isinstance(last, Activation):
            raise ValueError(
                f"{where} follows the activation {last.name!r}; accepted: one after a dense layer"
            )
        self.layers.append(g)
        self.widths.append(self.widths[-1])

    def network(self, loss: str | Loss | None, output: Any, backend: Any) -> tuple[Network, Parameters]:
        """The network and its parameters.

        `output` is the activation of the last layer where the model has none: it gave logits. `loss` is
        by default the one that suits the output.
        """
        if not self.layers:
            raise ValueError("the model has no dense layer; accepted: one or more")
        layers, arrays = [*self.layers], [each for each in self.arrays if each]
        if output is not None:
            if isinstance(layers[-1], Activation):
                raise ValueError(
                    f"`output` is {output!r}, and the model ends with {layers[-1].name!r}; accepted: it "
                    "where the model ends with a dense layer"
                )
            layers.append(look_up("activation", output, ACTIVATIONS, Activation))
        if all(isinstance(layer, (Dense, Activation)) for layer in layers):
            layers, arrays = as_dense(layers, arrays)
        last = layers[-1]
        name = last.name if isinstance(last, Activation) else ""
        chosen = LOSSES.get(name, "squared_error") if loss is None else loss
        net = Network((self.widths[0], *layers), loss=chosen)
        return net, placed(arrays, get(backend))


def as_dense(
    given: Sequence[Layer | Activation], arrays: Sequence[tuple[HostArray, ...]]
) -> tuple[list[Layer | Activation], list[tuple[HostArray, ...]]]:
    """Dense layers and activations as those of a dense network, each with a b and an activation."""
    layers: list[Layer | Activation] = []
    for layer in given:
        if isinstance(layer, Dense):
            if layers and not isinstance(layers[-1], Activation):
                layers.append(ACTIVATIONS["identity"])
            layers.append(Dense(layer.units))
        else:
            layers.append(layer)
    return layers, [pair if len(pair) == 2 else (*pair, np.zeros_like(pair[0][:, 0])) for pair in arrays]


def check_same(name: str, chain: Chain, predict: Callable[[HostArray], Any]) -> None:
    """Raise ValueError unless the chain gives for some rows what the model itself does.

    What its layers are called is not all that a model may do: it may have a method of its own, or use a
    layer twice.
    """
    net, params = chain.network(None, None, "numpy")
    random = np.random.default_rng(0)
    X = random.normal(size=(5, net.sizes[0])).astype(params[0][0].dtype)
    for column, n in net.described.levels:
        X[:, column] = random.integers(0, n, size=5)
    found, wanted = np.asarray(net.predict(params, X)), np.asarray(predict(X))
    if found.shape != wanted.shape or not np.allclose(found, wanted, rtol=1e-3, atol=1e-4):
        raise ValueError(
            f"`{name}` gives something else than its layers do one after the other; accepted: layers "
            "that follow one another"
        )


def placed(layers: Sequence[tuple[HostArray, ...]], backend: Backend) -> Parameters:
    """The parameters as copies on the device, all of them float64 if one is, else float32."""
    is_double = any(array.dtype == np.float64 for layer in layers for array in layer)
    dtype = "float64" if is_double else "float32"
    params: Parameters = []
    for layer in layers:
        host = [np.array(array, dtype, order="C") for array in layer]
        columns = [array if array.ndim == 2 else array[:, None] for array in host]
        params.append(tuple(map(backend.asarray, columns)))
    return params


def leaky(slope: float) -> Activation:
    """leaky_relu with the derivative of torch and TensorFlow at 0."""
    return leaky_relu(slope, at_zero=slope)


def name_and_constant(g: Activation) -> tuple[str | None, float | None]:
    """The name of a built-in activation, and its slope if it has one; None for a user-defined one."""
    for name, known in ACTIVATIONS.items():
        if name not in ("relu", "leaky_relu") and g == known:
            return name, None
    prime = g.g_prime
    if isinstance(prime, Bound) and g == relu(*prime.constants[-1:]):
        return "relu", None
    if isinstance(prime, Bound) and len(prime.constants) == 2 and g == leaky_relu(*prime.constants):
        return "leaky_relu", prime.constants[0]
    return None, None
