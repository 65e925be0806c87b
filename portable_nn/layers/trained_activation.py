"""An activation with a trained share for each unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portable_nn.checks.functions import check_activation, look_up
from portable_nn.equations import ACTIVATIONS, Activation, Array, Namespace
from portable_nn.equations.features import shared_out, shared_out_prime
from portable_nn.equations.normalization import scaled, scaled_prime
from portable_nn.layers.base import Gradients, Layer, Parameter, Theta


@dataclass(frozen=True)
class ParametricActivation(Layer):
    """(1 - alpha) z + alpha g(z): each unit's trained share alpha between the identity and g.

    alpha is 1 at first, so that it starts as g (as in RealMLP: Holzmueller et al., 2024).

    Parameters
    ----------
    g : Activation, or the name of one
        Elementwise: not "softmax".

    Raises
    ------
    TypeError, ValueError
        If `g` is no such activation.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> net = pnn.Network((2, 3, pnn.ParametricActivation("mish"), 1), loss="squared_error")
    >>> net.initialize()[1][0].tolist()
    [[1.0], [1.0], [1.0]]
    """

    g: Activation
    is_activation = True

    def __post_init__(self) -> None:
        g = look_up("activation", self.g, ACTIVATIONS, Activation)
        if g.g_prime is None:
            raise ValueError(f"`g` is {g!r}; accepted: an activation that is elementwise")
        check_activation(g)
        object.__setattr__(self, "g", g)

    @property
    def activations(self) -> tuple[Activation, ...]:
        return (self.g,)

    def parameters(self, n: int) -> tuple[Parameter, ...]:
        return (Parameter("alpha", (n, 1), "scales", 1.0),)

    def forward(self, xp: Namespace, theta: Theta, A: Array) -> tuple[Array, Any]:
        G = self.g.g(xp, A)
        return shared_out(theta[0], A, G), (A, G)

    def backward(self, xp: Namespace, theta: Theta, kept: Any, dA: Array) -> Gradients:
        Z, G = kept
        slope = shared_out_prime(theta[0], self.g.g_prime(xp, Z))  # type: ignore[misc]
        return scaled(slope, dA), (scaled_prime(xp, G - Z, dA),)
