"""One update: the formula of an optimizer, applied to every array of a tree."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from portable_nn import trees
from portable_nn.equations import Array, Namespace, Parameters

Rule = Callable[..., tuple[Array, ...]]
Slots = tuple[Parameters, ...]  # trees of the form of the parameters: (v,), or (m, v)


def clipped(xp: Namespace, grads: Parameters, c: Any) -> Parameters:
    """g <- g min(1, c / ||g||), the norm taken over all parameters together (Pascanu et al., 2013).

    ||g|| = s ||g/s||, s being the largest entry: no square of a finite gradient overflows.
    """
    leaves = trees.leaves(grads)
    largest = [xp.max(xp.abs(g), axis=(-2, -1), keepdims=True) for g in leaves]
    s = functools.reduce(xp.maximum, largest)
    s = xp.maximum(s, float(xp.finfo(s.dtype).smallest_normal))
    total: Any = sum(xp.sum((g / s) ** 2, axis=(-2, -1), keepdims=True) for g in leaves)
    norm = xp.maximum(xp.sqrt(total), 1.0)  # of g/s; less only where all of g is 0
    is_long = xp.astype(s * norm > c, s.dtype)
    divisor, factor = is_long * s + (1 - is_long), is_long * (c / norm) + (1 - is_long)
    shortened: Parameters = trees.map(lambda g: g / divisor * factor, grads)
    return shortened


def apply(
    xp: Namespace,
    rule: Rule,
    params: Parameters,
    grads: Parameters,
    slots: Slots,
    coefficients: Sequence[Any],
) -> tuple[Parameters, Slots]:
    """`rule` for every parameter: the new parameters and slots."""
    thetas, form = trees.flatten(params)
    kept = [trees.leaves(slot) for slot in slots]
    new = [
        check_result(rule(xp, theta, g, *arrays, *coefficients), theta, len(kept))
        for theta, g, *arrays in zip(thetas, trees.leaves(grads), *kept, strict=True)
    ]
    params, *new_slots = (trees.unflatten(form, each) for each in zip(*new, strict=True))
    return params, tuple(new_slots)


def check_result(result: Any, theta: Array, slots: int) -> tuple[Array, ...]:
    """What a rule has returned, if it is a new theta and so many arrays, all of its shape."""
    if not isinstance(result, (tuple, list)) or len(result) != 1 + slots:
        count = len(result) if isinstance(result, (tuple, list)) else type(result).__name__
        raise ValueError(
            f"the `rule` of the optimizer returned {count}; accepted: a tuple of {1 + slots}, the new "
            f"theta and {slots} arrays"
        )
    for array in result:
        if tuple(array.shape) != tuple(theta.shape):
            raise ValueError(
                f"the `rule` of the optimizer returned an array of shape {tuple(array.shape)} for a "
                f"parameter of shape {tuple(theta.shape)}; accepted: the same"
            )
    return tuple(result)
