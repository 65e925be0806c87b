"""User-defined activations and losses, tried on a tiny batch before anything relies on them.

A function that fails is an error, a derivative that is not the function's a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from portable_nn.backends import get
from portable_nn.equations import Activation, Array, Loss, delta
from portable_nn.errors import unknown_name

BATCH = np.asarray([[0.5, 0.25], [0.75, 0.5], [0.125, 0.25]], dtype="float32")  # 3 outputs, 2 examples
TARGETS = np.asarray([[1.0, 0.0], [0.0, 0.5], [0.0, 0.5]], dtype="float32")
KEEPS = (  # for messages
    "which constants as Python numbers keep, but not two of them in xp.where: write "
    "xp.where(Z > 0, xp.ones_like(Z), 0.0)"
)
FULL, SUMMED = (3, 2), (1, 2)
POINTS = np.asarray([[0.37, -0.61], [1.31, -1.73], [0.083, 2.9]])
SHARES = np.asarray([[1.0, 0.5], [0.75, 1.0], [0.5, 1.25]])  # dL/dA, for a derivative with respect to Z


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


def check_activation(g: Activation) -> None:
    """Raise TypeError or ValueError if g, or its derivative, fails or changes the shape or dtype.

    Called by what the user calls: warnings point there.
    """
    Z = BATCH - 0.375
    check_function(f"`g` of {g!r}", "g(xp, Z)", g.g, Z)
    if g.g_prime is not None:
        check_function(f"`g_prime` of {g!r}", "g_prime(xp, Z)", g.g_prime, Z)
    if g.delta is not None:
        check_function(f"`delta` of {g!r}", "delta(xp, Z, dA)", g.delta, Z, BATCH)
    xp = get("numpy").xp
    warn_if_wrong(
        f"`{'g_prime' if g.delta is None else 'delta'}` of {g!r}",
        lambda Z: SHARES * g.g(xp, Z),
        lambda Z: delta(xp, g, Z, SHARES),
        POINTS,
        SHARES if g.delta is None else 1.0,
    )


def check_loss(loss: Loss) -> None:
    """Raise TypeError or ValueError if the loss, or its derivative, fails or changes shape or dtype.

    Called by what the user calls: warnings point there.
    """
    of, both, terms = f"of {loss!r}", (BATCH, TARGETS), (FULL, SUMMED)
    check_function(f"`value` {of}", "value(xp, A, Y)", loss.value, *both, shapes=terms)
    check_function(f"`derivative` {of}", "derivative(xp, A, Y)", loss.derivative, *both)
    if loss.value_from_Z is not None:
        form = "value_from_Z(xp, Z, Y)"
        check_function(f"`value_from_Z` {of}", form, loss.value_from_Z, *both, shapes=terms)
    xp, A, Y = get("numpy").xp, BATCH.astype("float64"), TARGETS.astype("float64")
    what = f"`derivative` {of}"
    warn_if_wrong(what, lambda A: loss.value(xp, A, Y), lambda A: loss.derivative(xp, A, Y), A)
    if loss.matched is not None:
        g = loss.matched.g
        from_Z = loss.value_from_Z or (lambda xp, Z, Y: loss.value(xp, g(xp, Z), Y))
        what = f"A - Y, which `matched` promises {of},"
        warn_if_wrong(what, lambda Z: from_Z(xp, Z, Y), lambda Z: g(xp, Z) - Y, POINTS)


def warn_if_wrong(
    what: str,
    function: Callable[[Any], Any],
    derivative: Callable[[Any], Any],
    x: Any,
    shares: Any = 1.0,
) -> None:
    """Warn where ``derivative(x)`` is not that of ``function(x)``, summed over axis -2.

    Right is what lies between the differences to the left and to the right, which a kink keeps apart.
    Two steps are tried: one may be too long for a function that swings, the other too short for one that
    is coarse. The values shown are divided by `shares`.
    """
    right, found = np.zeros(x.shape, dtype=bool), np.zeros(x.shape)
    try:
        with np.errstate(all="ignore"):
            found = found + derivative(x)
            for h in (1e-5, 1e-3):
                left, above = differences(function, x, h), differences(function, x, -h)
                tolerance = 1e-3 * (np.abs(left) + np.abs(above) + np.abs(found)) + 1e-4
                low, high = np.minimum(left, above), np.maximum(left, above)
                right |= (low - tolerance <= found) & (found <= high + tolerance)
                right |= ~np.isfinite(left + above)
            if right.all() or np.any(function(x) != function(x)):  # else it draws random numbers
                return
    except Exception:  # a function that takes float32 alone; whether it runs has been checked
        return
    at = tuple(np.argwhere(~right)[0])
    expected = ((left + above) / 2 / shares)[at]
    warnings.warn(
        f"{what} is {(found / shares)[at]:.6g} where its argument is {x[at]:.6g}, but differences of "
        f"the function give {expected:.6g}: training would follow a wrong gradient; correct it, or "
        "silence this warning if it is meant so",
        stacklevel=5,
    )


def differences(function: Callable[[Any], Any], x: Any, h: float) -> Any:
    """The slope between x - h and x of ``function(x)``, summed over axis -2, for each entry of x."""
    rows = np.eye(x.shape[-2])[:, :, None] * h
    return np.stack([np.sum(function(x) - function(x - row), axis=-2) for row in rows]) / h


def check_function(
    what: str,
    form: str,
    function: Callable[..., Array],
    *arrays: Array,
    shapes: tuple[tuple[int, int], ...] = (FULL,),
) -> None:
    """Raise unless ``function(xp, *arrays)`` gives a float32 array of one of the `shapes`.

    And leaves the arrays as they are: what is in them is needed again on the way back.
    """
    backend, given = get("numpy"), [np.array(array) for array in arrays]
    try:
        result = backend.compile(function)(backend.xp, *given)
        shape, dtype = tuple(result.shape), str(result.dtype)
    except Exception as error:
        raise TypeError(
            f"{what} fails on a batch of shape {FULL}, with {type(error).__name__}: {error}; "
            f"accepted: a function called as {form}, written with the functions of `xp`"
        ) from error
    if shape not in shapes or dtype != "float32":
        raise ValueError(
            f"{what} gave shape {shape} and dtype {dtype} for a batch of shape {FULL} and dtype "
            f"float32; accepted: shape {' or '.join(map(str, shapes))} and the same dtype, {KEEPS}"
        )
    check_unchanged(what, arrays, given)


def check_unchanged(what: str, before: Iterable[Any], after: Iterable[Any]) -> None:
    """Raise ValueError where a function has written into its arguments."""
    if not all(np.array_equal(one, other) for one, other in zip(before, after, strict=True)):
        raise ValueError(
            f"{what} changes its arguments in place, as Z *= 2 does; accepted: a function that leaves "
            "them as they are, as Z = Z * 2 does"
        )
