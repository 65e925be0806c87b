"""What a network is made of: activations and losses by name, and whether they suit one another."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from portable_nn.checks import check_whole
from portable_nn.checks.functions import check_activation, check_loss
from portable_nn.equations import ACTIVATIONS, LOSSES, Activation, Loss
from portable_nn.errors import unknown_name
from portable_nn.network.initialization import count_parameters
from portable_nn.network.objective import are_built_in, functions_of

ELSEWHERE = {  # what other libraries call it
    "summary": "print(net)",
    "layers": "`sizes` and `g`",
    "loss_fn": "`loss`",
    "init": "net.initialize(seed)",
    "parameters": "net.initialize(seed), a list of (W, b)",
    "forward": "net.predict(params, X), or net.activations(params, X) for every layer",
    "apply": "net.predict(params, X)",
    "fit": "portable_nn.fit(net, params, X, Y)",
    "train": "portable_nn.fit(net, params, X, Y)",
    "compile": "portable_nn.fit(net, params, X, Y, optimizer=...)",
    "evaluate": "net.cost(params, X, Y), or fit(..., validation=(X, Y), metrics=...)",
    "predict_proba": "net.predict(params, X)",
    "backward": "net.cost_and_gradients(params, X, Y)",
    "grad": "net.cost_and_gradients(params, X, Y)",
}

SUITED = {  # the output activations that give what a loss needs
    "binary_cross_entropy": ("sigmoid", "softmax"),
    "categorical_cross_entropy": ("softmax",),
    "poisson": ("exp", "softplus", "sigmoid", "softmax"),
}


def layers_of(
    sizes: Sequence[int], activations: Sequence[str | Activation]
) -> tuple[tuple[int, ...], tuple[Activation, ...]]:
    """The sizes and the activations of a network; TypeError or ValueError for what is none."""
    if isinstance(sizes, str) or not isinstance(sizes, Iterable) or len(sizes := tuple(sizes)) < 2:
        raise ValueError(f"`sizes` is {sizes!r}; accepted: two or more sizes, such as (784, 10)")
    widths = tuple(check_whole(f"sizes[{l}]", n, 1) for l, n in enumerate(sizes))
    if not isinstance(activations, (tuple, list)) or len(activations) != len(widths) - 1:
        raise ValueError(
            f"`activations` is {activations!r}; accepted: {len(widths) - 1} of them, one per layer, "
            "such as ('relu', 'softmax')"
        )
    g = tuple(look_up("activation", a, ACTIVATIONS, Activation) for a in activations)
    for activation in set(g):
        if not are_built_in(*functions_of((activation,))):
            check_activation(activation)
    return widths, g


def loss_of(loss: str | Loss) -> Loss:
    """A loss, which may be given by its name; TypeError or ValueError for what is none."""
    found: Loss = look_up("loss", loss, LOSSES, Loss)
    if not are_built_in(found.value, found.derivative, found.value_from_Z):
        check_loss(found)
    return found


def warn_of_unsuited_pair(g: Activation, loss: Loss, units: int) -> None:
    """Warn where the loss needs predictions that the output activation does not give."""
    suited = SUITED.get(loss.name) if loss in LOSSES.values() else None
    is_known = g.name in ACTIVATIONS and are_built_in(*functions_of((g,)))
    if suited and is_known and g.name not in suited:
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


def summary(sizes: Sequence[int], g: Sequence[Activation], loss: Loss) -> str:
    """A line for each layer: its size, activation and number of parameters."""
    lines = [f"Network with the loss {loss.name}, {count_parameters(sizes):,} parameters"]
    for l, layer in enumerate(pairwise(sizes)):
        count, (n_in, n_out) = count_parameters(layer), layer
        lines.append(f"  layer {l + 1}: {n_in} -> {n_out}, {g[l].name}, {count:,} parameters")
    return "\n".join(lines)
