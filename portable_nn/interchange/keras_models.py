"""Keras 3: models of dense layers, both ways."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from portable_nn.equations import ACTIVATIONS, Activation, Loss, Parameters
from portable_nn.interchange.keras_layers import NORMALIZATIONS, add_normalization, layer_of
from portable_nn.interchange.layers import RELU, Chain, check_same, leaky, name_and_constant
from portable_nn.interchange.models import model_of
from portable_nn.network import Network

WITHOUT_EFFECT = (
    "InputLayer",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "AlphaDropout",
    "Identity",
)
NAMES = {  # of activations, in Keras and here
    "linear": "identity",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "softmax": "softmax",
    "elu": "elu",
    "selu": "selu",
    "softplus": "softplus",
    "silu": "silu",
    "swish": "silu",
    "mish": "mish",
    "hard_silu": "hard_swish",
    "hard_swish": "hard_swish",
    "exponential": "exp",
}
KERAS_SLOPE = 0.2  # of the activation that is given by its name
ACCEPTED = (
    "accepted: Dense, BatchNormalization, LayerNormalization, Activation, ReLU, LeakyReLU, ELU, "
    f"Softmax, Dropout, with the activations {', '.join(NAMES)}, relu, leaky_relu"
)


def from_keras(
    model: Any, loss: str | Loss | None = None, output: str | None = None, backend: Any = "numpy"
) -> tuple[Network, Parameters]:
    """The network in a Keras model that is a chain of dense layers; its predictions are the model's.

    Parameters
    ----------
    model : keras.Sequential, or keras.Model whose layers follow one another
        Built, of layers of Keras itself that compute in float32 or float64; models may be nested.
        Dropout has no effect on predictions, and is not carried over. Beside dense layers there may be
        BatchNormalization and LayerNormalization.
    loss : str or Loss, optional
        As for `from_torch`.
    output : str or Activation, optional
        As for `from_torch`; "softmax" where it was trained ``from_logits=True``.
    backend : str or Backend
        Where the parameters, which are copies, go.

    Returns
    -------
    net : Network
    params : list of (W, b), or of the arrays of other layers

    Raises
    ------
    TypeError, ValueError
        For a layer or an activation of another kind, which is named: "gelu" is the erf form there; for
        subclasses, mixed precision, and quantized layers.

    Examples
    --------
    >>> import keras
    >>> import portable_nn as pnn
    >>> dense = keras.layers.Dense
    >>> model = keras.Sequential([keras.Input((2,)), dense(3, activation="relu"), dense(1)])
    >>> net, params = pnn.interchange.from_keras(model)
    >>> net.sizes
    (2, 3, 1)
    """
    keras = require_keras()
    if not isinstance(model, keras.Model):
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        raise TypeError(f"`model` is a {kind}; accepted: a keras.Sequential or keras.Model")
    chain = Chain()
    for layer in operations(keras, model):
        kind, where = type(layer).__name__, f"the layer {layer.name!r}, a {type(layer).__name__},"
        if kind in WITHOUT_EFFECT or (kind == "Flatten" and not chain.layers):
            continue
        if kind == "Dense":
            kernel, *bias = (np.asarray(each) for each in layer.get_weights())
            chain.add_dense(where, kernel.T, bias[0] if bias else None)
            chain.add_activation(where, named(where, layer.activation))
        elif kind in NORMALIZATIONS:
            add_normalization(chain, where, layer)
        else:
            chain.add_activation(where, activation_of(where, layer))
    check_same("model", chain, lambda X: keras.ops.convert_to_numpy(model(X, training=False)))
    return chain.network(loss, output, backend)


def to_keras(model: Any) -> Any:
    """The model as a keras.Model with copies of the parameters, on the backend that Keras has.

    Parameters
    ----------
    model : (net, params), or a fitted MLPClassifier or MLPRegressor
        On any backend; not a stack. A binary classifier's model gives the probability of the second
        class, shape (n_samples, 1).

    Returns
    -------
    model : keras.Model

    Raises
    ------
    TypeError, ValueError
        For another thing, for user-defined activations, and for layers other than Dense, BatchNorm and
        LayerNorm.

    Notes
    -----
    Keras' momentum is 1 - ours, and its running variance moves by sigma^2, ours by sigma^2 B / (B - 1).
    Keras computes products in float32, whatever the dtype of a layer: predictions of models of float64
    differ by about 1e-7 of the largest one.

    Examples
    --------
    >>> import keras
    >>> import portable_nn as pnn
    >>> net = pnn.Network((2, 3, 1), ("relu", "identity"), "squared_error")
    >>> model = pnn.interchange.to_keras((net, net.initialize()))
    >>> isinstance(model, keras.Model), model.count_params()
    (True, 13)
    """
    keras = require_keras()
    found = model_of(model)
    dtype = found.dtype.name
    inputs = x = keras.Input((found.sizes[0],), dtype=dtype)
    for part in found.parts:
        if isinstance(part.layer, Activation):
            x = applied(keras, part.described, part.layer, x, dtype)
            continue
        layer, weights = layer_of(keras, part, dtype)
        x = layer(x)
        layer.set_weights(weights)
    return keras.Model(inputs, x)


def require_keras() -> Any:
    """The library; ImportError saying how to get it where it is not installed."""
    try:
        return importlib.import_module("keras")
    except ImportError as error:
        raise ImportError(f"keras cannot be imported ({error}); pip install keras") from error


def operations(keras: Any, model: Any) -> Iterator[Any]:
    """The layers and other operations of a model, and of the models in it, in their order.

    ValueError where one is not built, or may compute something else than Keras' own.
    """
    check_own_class("`model`", model)
    if not model.built:
        raise ValueError("`model` is not built; accepted: one that knows its inputs: add keras.Input")
    for each in getattr(model, "operations", None) or model.layers:
        if isinstance(each, keras.Model):
            yield from operations(keras, each)
        else:
            check_precision(each)
            yield each


def check_own_class(where: str, thing: Any) -> None:
    """Raise ValueError unless a model or a layer computes as its class does, and this one is Keras'."""
    kind = type(thing)
    if not kind.__module__.startswith("keras."):
        raise ValueError(
            f"{where} is a {kind.__module__}.{kind.__qualname__}, which may compute something else than "
            f"a class of Keras; {ACCEPTED}, in a keras.Sequential or functional keras.Model, no "
            "subclasses; put its layers together in one"
        )
    if "call" in vars(thing):
        raise ValueError(
            f"{where} has a `call` of its own; accepted: that of its class, {kind.__name__}; delete the "
            "attribute"
        )


def check_precision(layer: Any) -> None:
    """Raise ValueError where a layer is none of Keras' own, or rounds to less than float32."""
    where = f"the layer {layer.name!r}"
    check_own_class(where, layer)
    if getattr(layer, "quantization_mode", None) is not None or getattr(layer, "lora_enabled", False):
        what = "has LoRA weights" if layer.quantization_mode is None else "is quantized"
        raise ValueError(
            f"{where} {what} ({layer.dtype_policy.name}); accepted: plain layers of float32 or float64"
        )
    policy = getattr(layer, "dtype_policy", None)
    if policy is not None and policy.compute_dtype not in ("float32", "float64"):
        raise ValueError(
            f"{where} computes in {policy.compute_dtype} (its policy is {policy.name!r}); accepted: "
            "float32, float64; build the model again with dtype='float32', and set its weights"
        )


def named(where: str, function: Any) -> Activation:
    """The activation that a function of Keras is; ValueError for what is none of ours."""
    name = getattr(function, "__name__", type(function).__name__)
    if not str(getattr(function, "__module__", "")).startswith("keras."):
        raise ValueError(f"{where} has the activation {name!r}, which is none of Keras' own; {ACCEPTED}")
    if name == "relu":
        return RELU
    if name == "leaky_relu":
        return leaky(KERAS_SLOPE)
    if name == "gelu":
        raise ValueError(
            f"{where} has the erf form of gelu, which the array API standard has no function for; "
            "accepted: the tanh form, keras.ops.gelu(x, approximate=True)"
        )
    if name not in NAMES:
        raise ValueError(f"{where} has the activation {name!r}; {ACCEPTED}")
    return ACTIVATIONS[NAMES[name]]


def activation_of(where: str, layer: Any) -> Activation:
    """The activation that a layer is; ValueError for what is none of ours."""
    slope = float(getattr(layer, "negative_slope", 0.0))
    match type(layer).__name__:
        case "Activation":
            return named(where, layer.activation)
        case "ReLU" if layer.max_value is None and not layer.threshold and 0 <= slope <= 1:
            return leaky(slope) if slope else RELU
        case "LeakyReLU" if 0 <= slope <= 1:
            return leaky(slope)
        case "ELU" if float(layer.alpha) == 1:
            return ACTIVATIONS["elu"]
        case "Softmax" if layer.axis in (-1, 1):
            return ACTIVATIONS["softmax"]
        case "Gelu" if getattr(layer, "approximate", False):
            return ACTIVATIONS["gelu"]
    raise ValueError(f"{where} has no counterpart here; {ACCEPTED}")


def applied(keras: Any, where: str, g: Activation, x: Any, dtype: str) -> Any:
    """An activation of ours, applied to a tensor of Keras."""
    name, slope = name_and_constant(g)
    if name == "identity":
        return x
    if name == "gelu":
        return keras.ops.gelu(x, approximate=True)
    if name == "leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=slope, dtype=dtype)(x)
    theirs = {ours: theirs for theirs, ours in NAMES.items() if theirs != "swish"} | {"relu": "relu"}
    if name not in theirs:
        raise TypeError(f"{where} has no counterpart in Keras; accepted: built-in ones")
    return keras.layers.Activation(theirs[name], dtype=dtype)(x)
