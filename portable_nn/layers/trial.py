"""User-defined layers, tried on a tiny batch before anything relies on them."""

from __future__ import annotations

import functools
import numbers
from typing import Any

import numpy as np

from portable_nn.backends import get
from portable_nn.checks.functions import KEEPS, check_unchanged, warn_if_wrong
from portable_nn.layers.base import ALL_KINDS, BY_SCHEME, Layer, Parameter
from portable_nn.optimizers.array_names import KINDS

B = 3  # examples


def check_layer(layer: Any, n: int) -> None:
    """Raise TypeError or ValueError if a layer, n units being below it, is not as `Layer` describes.

    Warns where `backward` is not the derivative of `forward`, as two-sided differences find it.
    """
    name = type(layer).__name__
    if type(layer) is not Layer and "__dataclass_fields__" not in vars(type(layer)):
        raise TypeError(f"{name} is no dataclass; accepted: a subclass with @dataclass(frozen=True)")
    try:
        hash(layer)
        width, arrays = layer.width(n), tuple(layer.parameters(n))
    except Exception as error:
        raise TypeError(
            f"{name} fails with {n} units below: {type(error).__name__}: {error}; accepted: a frozen "
            "dataclass whose fields can be hashed (tuples for lists and arrays)"
        ) from error
    if not isinstance(width, numbers.Integral) or width < 1:
        raise ValueError(f"`width` of {name} gave {width!r}; accepted: a number of units >= 1")
    check_arrays(name, arrays)
    has_statistics = any(array.kind == "statistics" for array in arrays)
    if has_statistics and type(layer).moved is Layer.moved:
        raise ValueError(f"{name} has statistics and no `moved`; accepted: with it, which moves them")
    backend = get("numpy")
    random = np.random.default_rng(0)
    theta = [random.uniform(0.5, 1.5, array.shape).astype("float32") for array in arrays]
    A = random.standard_normal((n, B)).astype("float32")
    dA = random.standard_normal((width, B)).astype("float32")
    arguments = [A, dA, *theta]
    before = [array.copy() for array in arguments]
    try:
        out, kept = layer.forward_in_training(backend.xp, theta, A)
        below, grads = layer.backward(backend.xp, theta, kept, dA)
        shapes = [None if g is None else (*g.shape, str(g.dtype)) for g in (out, below, *grads)]
    except Exception as error:
        raise TypeError(
            f"{name} fails on a batch of shape {(n, B)}, with {type(error).__name__}: {error}; "
            "accepted: forward(xp, theta, A) and backward(xp, theta, kept, dA), written with `xp`"
        ) from error
    wanted: list[Any] = [(width, B, "float32"), (n, B, "float32")]
    wanted += [(*array.shape, "float32") if array.kind in KINDS else None for array in arrays]
    if shapes != wanted:
        raise ValueError(
            f"{name} gave shapes and dtypes {shapes} for its output, dL/dA below and the gradients of "
            f"its arrays; accepted: {wanted}, with the dtype of what is given, {KEEPS}"
        )
    check_unchanged(name, before, arguments)
    compare(layer, n, int(width), arrays)


def check_arrays(name: str, arrays: tuple[Any, ...]) -> None:
    """Raise TypeError or ValueError unless all are `Parameter`s of known kinds."""
    seen = set()
    for array in arrays:
        if not isinstance(array, Parameter):
            raise TypeError(f"`parameters` of {name} gave {array!r}; accepted: portable_nn.Parameter")
        if not str(array.symbol).isidentifier() or array.symbol in seen:
            raise ValueError(
                f"`symbol` {array.symbol!r} of {name} is none, or is there twice; accepted: a letter or "
                "a word, another one for each array"
            )
        seen.add(array.symbol)
        if array.kind not in ALL_KINDS:
            raise ValueError(
                f"`kind` of {array.symbol!r} of {name} is {array.kind!r}; accepted: "
                f"{', '.join(ALL_KINDS)}"
            )
        if len(array.shape) != 2 or not all(isinstance(k, int) and k > 0 for k in array.shape):
            raise ValueError(
                f"`shape` of {array.symbol!r} of {name} is {array.shape!r}; accepted: two numbers >= 1; "
                "a number for each unit is (n, 1)"
            )
        if isinstance(array.initial, str) and array.initial != BY_SCHEME:
            raise ValueError(f"`initial` of {array.symbol!r} of {name} is {array.initial!r}: no number")


def compare(layer: Layer, n: int, width: int, arrays: tuple[Parameter, ...]) -> None:
    """Warn where `backward` is not what differences of `forward` give, for the inputs and each array."""
    xp, random = get("numpy").xp, np.random.default_rng(1)
    theta = [random.uniform(0.5, 1.5, array.shape) for array in arrays]
    A, dA = random.standard_normal((n, B)), random.standard_normal((width, B))
    _, kept = layer.forward_in_training(xp, theta, A)
    below, grads = layer.backward(xp, theta, kept, dA)
    for place, (what, found) in enumerate(
        [("dL/dA", below), *((f"dJ/d{a.symbol}", g) for a, g in zip(arrays, grads, strict=True))]
    ):
        if found is None:
            continue

        def loss(x: Any, place: int = place) -> Any:
            """What the gradient is of: the loss itself, or its mean over the examples."""
            given = [A, *theta]
            given[place] = x.reshape(given[place].shape)
            out: Any
            out, _ = layer.forward_in_training(xp, given[1:], given[0])
            return np.reshape(np.sum(dA * out) / (1 if place == 0 else B), (1, 1))

        warn_if_wrong(
            f"{what} by `backward` of {type(layer).__name__}",
            loss,
            functools.partial(as_column, found),
            np.reshape([A, *theta][place], (-1, 1)),
        )


def as_column(found: Any, _: Any) -> Any:
    """The entries of an array below one another."""
    return np.reshape(found, (-1, 1))
