"""What a network is made of: activations and losses by name, and whether they suit one another."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from portable_nn.checks import check_whole
from portable_nn.checks.functions import check_activation, check_loss, look_up
from portable_nn.equations import ACTIVATIONS, LOSSES, Activation, Loss
from portable_nn.errors import unknown_name
from portable_nn.layers import (
    BatchNorm,
    Dense,
    Embedding,
    Layer,
    LayerNorm,
    Periodic,
    PiecewiseLinear,
)
from portable_nn.layers.chain import is_activation
from portable_nn.layers.described import Layers, dense_layers, is_plain
from portable_nn.layers.trial import check_layer
from portable_nn.network.user_functions import are_built_in, functions_of, is_built_in_layer

NORMALIZATIONS = {"batch": BatchNorm, "layer": LayerNorm}
NUMBERS = (Periodic, PiecewiseLinear)
OTHER_LAYERS = {  # what is given as a string and is no activation
    "batchnorm": "portable_nn.BatchNorm()",
    "batchnorm1d": "portable_nn.BatchNorm()",
    "batchnormalization": "portable_nn.BatchNorm()",
    "layernorm": "portable_nn.LayerNorm()",
    "layernormalization": "portable_nn.LayerNorm()",
    "dropout": "`dropout` of portable_nn.fit",
    "prelu": "portable_nn.ParametricActivation('relu')",
}

ELSEWHERE = {  # what other libraries call it
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


def network_layers(
    sizes: Sequence[Any], activations: Sequence[str | Activation] | None, normalization: Any
) -> tuple[int, Layers]:
    """The number of inputs and the layers, the last one an activation; TypeError or ValueError else.

    Either `sizes` are numbers, with an activation for each but the first; or they are a list of layers.
    """
    if isinstance(sizes, str) or not isinstance(sizes, Iterable) or len(sizes := tuple(sizes)) < 2:
        raise ValueError(f"`sizes` is {sizes!r}; accepted: two or more sizes, such as (784, 10)")
    n_0 = check_whole("sizes[0]", sizes[0], 1)
    if activations is None:
        if normalization is not None:
            raise TypeError(
                f"`normalization` is {normalization!r} beside a list of layers; accepted: it beside "
                "`activations`; in a list, normalizations where they are to be"
            )
        layers = listed(sizes)
    else:
        widths = [check_whole(f"sizes[{l}]", n, 1) for l, n in enumerate(sizes)]
        if not isinstance(activations, (tuple, list)) or len(activations) != len(widths) - 1:
            raise ValueError(
                f"`activations` is {activations!r}; accepted: {len(widths) - 1} of them, one per layer, "
                "such as ('relu', 'softmax')"
            )
        g = [look_up("activation", a, ACTIVATIONS, Activation) for a in activations]
        layers = dense_layers(widths, g)
    for activation in {each for each in layers if isinstance(each, Activation)}:
        if not are_built_in(*functions_of((activation,))):
            check_activation(activation)
    layers = normalized(layers, normalization)
    layers = among_numbers(n_0, layers)
    n = n_0
    for layer in (each for each in layers if isinstance(each, Layer)):
        if isinstance(layer, Embedding) and layer is not layers[0]:
            raise ValueError("an Embedding is not the first layer; accepted: it right after the inputs")
        if type(layer) is Layer or not is_built_in_layer(layer):
            check_layer(layer, n)
        n = layer.width(n)
    return n_0, layers


def among_numbers(n_0: int, layers: Layers) -> Layers:
    """The layers; one that embeds numbers right after an Embedding takes numbers alone.

    Raises ValueError where its columns are not among these, which come first there.
    """
    first, *rest = layers
    if not isinstance(first, Embedding) or not rest or not isinstance(rest[0], NUMBERS):
        return layers
    layer, count = rest[0], n_0 - len(first.columns)
    columns = tuple(range(count)) if layer.columns is None else layer.columns
    if not columns or max(columns) >= count:
        given = "all" if layer.columns is None else tuple(layer.columns)
        raise ValueError(
            f"`columns` of {type(layer).__name__} is {given}, and after the Embedding there are {count} "
            f"columns of numbers, which come first; accepted: some of 0 to {count - 1}"
        )
    return (first, replace(layer, columns=columns), *rest[1:])


def listed(sizes: Sequence[Any]) -> Layers:
    """The layers of a list: a number stands for a dense layer, a string for an activation.

    Right below a batch normalization, which subtracts it, a number stands for one without a b.
    """
    layers: list[Layer | Activation] = []
    for i, each in enumerate(sizes[1:], start=1):
        if isinstance(each, (Layer, Activation)):
            layers.append(each)
        elif isinstance(each, str):
            plain = each.lower().replace("_", "")
            if plain in OTHER_LAYERS:
                raise ValueError(f"{each!r} is no activation; here: {OTHER_LAYERS[plain]}")
            layers.append(look_up("activation", each, ACTIVATIONS, Activation))
        elif isinstance(each, numbers.Integral) and not isinstance(each, bool):
            is_normalized = any(isinstance(above, BatchNorm) for above in sizes[i + 1 : i + 2])
            layers.append(Dense(check_whole(f"sizes[{i}]", each, 1), bias=not is_normalized))
        else:
            hint = f"; make one: {each.__name__}(...)" if isinstance(each, type) else ""
            raise TypeError(
                f"`sizes[{i}]` is {each!r}; accepted: the units of a dense layer, an activation or its "
                f"name, or a layer such as portable_nn.BatchNorm(){hint}"
            )
    if not any(isinstance(each, Layer) for each in layers):
        raise ValueError(f"`sizes` is {tuple(sizes)!r}; accepted: one layer or more that has units")
    if not isinstance(layers[-1], Activation):
        layers.append(ACTIVATIONS["identity"])
    return tuple(layers)


def normalized(layers: Layers, normalization: Any) -> Layers:
    """The layers, with a normalization before each hidden activation if one is asked for.

    Dense layers below a batch normalization, which subtracts their b, get none.
    """
    if normalization is None:
        return layers
    if isinstance(normalization, str):
        if normalization not in NORMALIZATIONS:
            raise ValueError(unknown_name("normalization", normalization, NORMALIZATIONS))
        normalization = NORMALIZATIONS[normalization]()
    if not isinstance(normalization, Layer):
        raise TypeError(
            f"`normalization` is {normalization!r}; accepted: None, 'batch', 'layer', or a layer"
        )
    found: list[Layer | Activation] = []
    for each in layers[:-1]:
        if is_activation(each):
            if isinstance(normalization, BatchNorm) and found and is_plain(found[-1]):
                found[-1] = replace(found[-1], bias=False)  # type: ignore[type-var]
            found.append(normalization)
        found.append(each)
    return (*found, layers[-1])


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
