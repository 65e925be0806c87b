"""What a network is made of: activations and losses by name, and whether they suit one another."""

from __future__ import annotations

import warnings
from typing import Any

from portable_nn.equations import ACTIVATIONS, LOSSES, Activation, Loss
from portable_nn.errors import unknown_name

SUITED = {  # the output activations that give what a loss needs
    "binary_cross_entropy": ("sigmoid", "softmax"),
    "categorical_cross_entropy": ("softmax",),
    "poisson": ("exp", "softplus", "sigmoid", "softmax"),
}


def warn_of_unsuited_pair(g: Activation, loss: Loss, units: int) -> None:
    """Warn where the loss needs predictions that the output activation does not give."""
    suited = SUITED.get(loss.name) if loss in LOSSES.values() else None
    if suited and g == ACTIVATIONS.get(g.name) and g.name not in suited:
        text = (
            f"the output activation {g.name!r} is not meant for {loss.name}: use {' or '.join(suited)}"
        )
        warnings.warn(text, stacklevel=3)
    if units == 1 and g == ACTIVATIONS["softmax"]:
        warnings.warn(
            "softmax is not meant for a single output, it is always 1: use sigmoid", stacklevel=3
        )


def look_up(kind: str, given: Any, known: dict[str, Any], accepted: type) -> Any:
    """`given` itself, or what it names."""
    if isinstance(given, accepted):
        return given
    if not isinstance(given, str):
        raise TypeError(
            f"{given!r} was given as {kind}; accepted: a name or a portable_nn.{accepted.__name__}"
        )
    if given not in known:
        raise ValueError(unknown_name(kind, given, known))
    return known[given]
