"""Networks put together from the layers of other libraries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from portable_nn.backends import Backend, get
from portable_nn.checks.functions import look_up
from portable_nn.compiler.signatures import HostArray
from portable_nn.equations import ACTIVATIONS, Activation, Bound, Loss, Parameters, leaky_relu, relu
from portable_nn.network import Network

LOSSES = {"sigmoid": "binary_cross_entropy", "softmax": "categorical_cross_entropy"}  # of an output
RELU = relu(at_zero=0.0)  # as the other libraries differentiate it


class Dense(NamedTuple):
    """A layer of another library: W (n_out, n_in) and b (n_out,) on the host, None where it has none."""

    W: HostArray
    b: HostArray | None


class Chain:
    """Dense layers and activations in their order, as another library's model goes through them."""

    def __init__(self) -> None:
        self.layers: list[Dense] = []
        self.g: list[Activation | None] = []

    def add_dense(self, where: str, W: HostArray, b: HostArray | None) -> None:
        """A dense layer; ValueError where its inputs are not the outputs of the layer before."""
        if self.layers and self.layers[-1].W.shape[0] != W.shape[1]:
            before, n = self.layers[-1].W.shape[0], W.shape[1]
            raise ValueError(f"{where} takes {n} inputs, and the layer before it gives {before}")
        self.layers.append(Dense(W, b))
        self.g.append(None)

    def add_activation(self, where: str, g: Activation) -> None:
        """An activation; ValueError where there is no dense layer, or it has one already."""
        if not self.layers:
            raise ValueError(f"{where} stands before any dense layer; accepted: dense layers first")
        if g == ACTIVATIONS["identity"]:
            return
        if self.g[-1] is not None:
            raise ValueError(
                f"{where} follows the activation {self.g[-1].name!r}; accepted: one after a dense layer"
            )
        self.g[-1] = g

    def network(self, loss: str | Loss | None, output: Any, backend: Any) -> tuple[Network, Parameters]:
        """The network and its parameters.

        `output` is the activation of the last layer where the model has none: it gave logits. `loss` is
        by default the one that suits the output.
        """
        if not self.layers:
            raise ValueError("the model has no dense layer; accepted: one or more")
        g = [ACTIVATIONS["identity"] if each is None else each for each in self.g]
        if output is not None:
            if self.g[-1] is not None:
                raise ValueError(
                    f"`output` is {output!r}, and the model ends with {g[-1].name!r}; accepted: it "
                    "where the model ends with a dense layer"
                )
            g[-1] = look_up("activation", output, ACTIVATIONS, Activation)
        sizes = (self.layers[0].W.shape[1], *(layer.W.shape[0] for layer in self.layers))
        chosen = LOSSES.get(g[-1].name, "squared_error") if loss is None else loss
        return Network(sizes, g, chosen), placed(self.layers, get(backend))


def check_same(name: str, chain: Chain, predict: Callable[[HostArray], Any]) -> None:
    """Raise ValueError unless the chain gives for some rows what the model itself does.

    What its layers are called is not all that a model may do: it may have a method of its own, or use a
    layer twice.
    """
    net, params = chain.network(None, None, "numpy")
    X = np.random.default_rng(0).normal(size=(5, net.sizes[0])).astype(params[0][0].dtype)
    found, wanted = np.asarray(net.predict(params, X)), np.asarray(predict(X))
    if found.shape != wanted.shape or not np.allclose(found, wanted, rtol=1e-3, atol=1e-4):
        raise ValueError(
            f"`{name}` gives something else than its layers do one after the other; accepted: layers "
            "that follow one another"
        )


def placed(layers: Sequence[Dense], backend: Backend) -> Parameters:
    """The parameters as copies on the device, all of them float64 if one is, else float32."""
    is_double = any(layer.W.dtype == np.float64 for layer in layers)
    dtype = "float64" if is_double else "float32"
    params: Parameters = []
    for W, given in layers:
        b = np.zeros(W.shape[0], W.dtype) if given is None else given
        host = np.array(W, dtype, order="C"), np.array(b, dtype)[:, None]
        params.append((backend.asarray(host[0]), backend.asarray(host[1])))
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
