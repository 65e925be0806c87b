"""A trial of an activation or a loss of somebody's own on a tiny batch, before it is relied upon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portable_nn.backends import get
from portable_nn.equations import Activation, Array, Loss

BATCH = np.asarray([[0.5, 0.25], [0.75, 0.5], [0.125, 0.25]], dtype="float32")  # 3 outputs, 2 examples
TARGETS = np.asarray([[1.0, 0.0], [0.0, 0.5], [0.0, 0.5]], dtype="float32")
FULL, SUMMED = (3, 2), (1, 2)


def try_activation(g: Activation) -> None:
    """Raise TypeError or ValueError if g, or its derivative, fails or changes the shape or dtype."""
    Z = BATCH - 0.375
    _try(f"`g` of {g!r}", "g(xp, Z)", g.g, Z)
    if g.g_prime is not None:
        _try(f"`g_prime` of {g!r}", "g_prime(xp, Z)", g.g_prime, Z)
    if g.delta is not None:
        _try(f"`delta` of {g!r}", "delta(xp, Z, dA)", g.delta, Z, BATCH)


def try_loss(loss: Loss) -> None:
    """Raise TypeError or ValueError if the loss, or its derivative, fails or changes shape or dtype."""
    _try(f"`value` of {loss!r}", "value(xp, A, Y)", loss.value, BATCH, TARGETS, shapes=(FULL, SUMMED))
    _try(f"`derivative` of {loss!r}", "derivative(xp, A, Y)", loss.derivative, BATCH, TARGETS)
    if loss.value_from_Z is not None:
        form = "value_from_Z(xp, Z, Y)"
        _try(
            f"`value_from_Z` of {loss!r}", form, loss.value_from_Z, BATCH, TARGETS, shapes=(FULL, SUMMED)
        )


def _try(
    what: str, form: str, function: Callable[..., Any], *arrays: Array, shapes: tuple[Any, ...] = (FULL,)
) -> None:
    backend = get("numpy")
    try:
        result = backend.compile(function)(backend.xp, *arrays)
        given = tuple(result.shape), str(result.dtype)
    except Exception as error:
        raise TypeError(
            f"{what} fails on a batch of shape {FULL}, with {type(error).__name__}: {error}; "
            f"accepted: a function called as {form}, written with the functions of `xp`"
        ) from error
    if given[0] not in shapes or given[1] != "float32":
        raise ValueError(
            f"{what} gave shape {given[0]} and dtype {given[1]} for a batch of shape {FULL} and dtype "
            f"float32; accepted: shape {' or '.join(map(str, shapes))} and the same dtype (constants as "
            "Python numbers keep it)"
        )
