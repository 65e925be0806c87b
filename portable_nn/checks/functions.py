"""User-defined activations and losses, tried on a tiny batch before anything relies on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from portable_nn.backends import get
from portable_nn.equations import Activation, Array, Loss

BATCH = np.asarray([[0.5, 0.25], [0.75, 0.5], [0.125, 0.25]], dtype="float32")  # 3 outputs, 2 examples
TARGETS = np.asarray([[1.0, 0.0], [0.0, 0.5], [0.0, 0.5]], dtype="float32")
FULL, SUMMED = (3, 2), (1, 2)


def check_activation(g: Activation) -> None:
    """Raise TypeError or ValueError if g, or its derivative, fails or changes the shape or dtype."""
    Z = BATCH - 0.375
    check_function(f"`g` of {g!r}", "g(xp, Z)", g.g, Z)
    if g.g_prime is not None:
        check_function(f"`g_prime` of {g!r}", "g_prime(xp, Z)", g.g_prime, Z)
    if g.delta is not None:
        check_function(f"`delta` of {g!r}", "delta(xp, Z, dA)", g.delta, Z, BATCH)


def check_loss(loss: Loss) -> None:
    """Raise TypeError or ValueError if the loss, or its derivative, fails or changes shape or dtype."""
    of, both, terms = f"of {loss!r}", (BATCH, TARGETS), (FULL, SUMMED)
    check_function(f"`value` {of}", "value(xp, A, Y)", loss.value, *both, shapes=terms)
    check_function(f"`derivative` {of}", "derivative(xp, A, Y)", loss.derivative, *both)
    if loss.value_from_Z is not None:
        form = "value_from_Z(xp, Z, Y)"
        check_function(f"`value_from_Z` {of}", form, loss.value_from_Z, *both, shapes=terms)


def check_function(
    what: str,
    form: str,
    function: Callable[..., Array],
    *arrays: Array,
    shapes: tuple[tuple[int, int], ...] = (FULL,),
) -> None:
    """Raise unless ``function(xp, *arrays)`` gives a float32 array of one of the `shapes`."""
    backend = get("numpy")
    try:
        result = backend.compile(function)(backend.xp, *arrays)
        shape, dtype = tuple(result.shape), str(result.dtype)
    except Exception as error:
        raise TypeError(
            f"{what} fails on a batch of shape {FULL}, with {type(error).__name__}: {error}; "
            f"accepted: a function called as {form}, written with the functions of `xp`"
        ) from error
    if shape not in shapes or dtype != "float32":
        raise ValueError(
            f"{what} gave shape {shape} and dtype {dtype} for a batch of shape {FULL} and dtype "
            f"float32; accepted: shape {' or '.join(map(str, shapes))} and the same dtype (constants as "
            "Python numbers keep it)"
        )
