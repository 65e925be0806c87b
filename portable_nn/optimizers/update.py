"""One update: the formula of an optimizer, applied to every array of a tree."""

from __future__ import annotations

import functools
import inspect
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


def clipped_parts(
    xp: Namespace, params: Parameters, grads: Parameters, limits: Sequence[Any], parts: Sequence[int]
) -> Parameters:
    """`clipped` for each part of the arrays by its own limit; part -1 is not clipped."""
    form = trees.flatten(params)[1]
    found = trees.aligned(form, grads)
    for part, c in enumerate(limits):
        mine = [i for i, those in enumerate(parts) if those == part and found[i] is not None]
        if mine:
            shortened = clipped(xp, [found[i] for i in mine], c)
            for i, g in zip(mine, shortened, strict=True):
                found[i] = g
    whole: Parameters = trees.unflatten(form, found)
    return whole


def apply(
    xp: Namespace,
    rules: Sequence[Rule],
    params: Parameters,
    grads: Parameters,
    slots: Slots,
    coefficients: Sequence[Sequence[Any]],
    parts: Sequence[int],
) -> tuple[Parameters, Slots]:
    """The rule of its part for every parameter: the new parameters and slots.

    Where a gradient is None the parameter, and what is kept for it, are the same arrays as before.
    """
    thetas, form = trees.flatten(params)
    kept = [trees.leaves(slot) for slot in slots]
    new = []
    gradients = trees.aligned(form, grads)
    for part, theta, g, *arrays in zip(parts, thetas, gradients, *kept, strict=True):
        if g is None:
            new.append((theta, *arrays))
        else:
            result = call(rules[part], xp, theta, g, *arrays, *coefficients[part])
            new.append(check_result(result, theta, len(kept)))
    params, *new_slots = (trees.unflatten(form, each) for each in zip(*new, strict=True))
    return params, tuple(new_slots)


def call(rule: Rule, *arguments: Any) -> Any:
    """What the rule gives for them; TypeError with what it is called with where it takes others."""
    try:
        return rule(*arguments)
    except TypeError as error:
        if takes(getattr(getattr(rule, "optimizer", None), "rule", rule), arguments):
            raise
        raise TypeError(
            f"the `rule` of the optimizer does not take {len(arguments)} arguments ({error}); "
            "accepted: rule(xp, theta, g, *slots, *coefficients), as many of both as there are"
        ) from error


def takes(function: Callable[..., Any], arguments: Sequence[Any]) -> bool:
    """Whether the function can be called with so many arguments, as far as its signature says."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # it has none
        return True
    return True


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
        if array.dtype != theta.dtype:
            raise TypeError(
                f"the `rule` of the optimizer returned an array of dtype {array.dtype} for a parameter "
                f"of dtype {theta.dtype}; accepted: the same, which constants as Python numbers keep, "
                "but not NumPy's, nor two numbers in xp.where: xp.where(g > 0, xp.ones_like(g), -1.0)"
            )
    return tuple(result)
