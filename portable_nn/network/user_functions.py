"""Which functions of a step are user-defined: those may read what changes while the step is kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

from portable_nn.equations import Activation, Array, Bound
from portable_nn.layers import Chain, Layer, Model

PACKAGE = __name__.partition(".")[0] + "."


def functions_of(g: Sequence[Activation]) -> list[Callable[..., Array] | None]:
    """The functions of activations."""
    return [f for each in g for f in (each.g, each.g_prime, each.delta)]


def user_functions_of(model: Model) -> tuple[Callable[..., Array], ...] | None:
    """The functions of a model that are user-defined; None where they may change, in a subclass."""
    layers = model.layers if isinstance(model, Chain) else ()
    inner = [each for each in layers if isinstance(each, Layer)]
    g = [*model.g, *(activation for each in inner for activation in each.activations)]
    is_plain = all(type(each) is Activation for each in g) and all(map(is_built_in_layer, inner))
    return user_defined(*functions_of(g)) if is_plain else None


def is_built_in_layer(layer: Layer) -> bool:
    """Whether the layer's class, not only one of its bases, is this package's."""
    kind = type(layer)
    module = sys.modules.get(kind.__module__) if kind.__module__.startswith(PACKAGE) else None
    return getattr(module, kind.__name__, None) is kind


def depending_on(
    functions: tuple[Callable[..., Any], ...] | None, step: Callable[..., Any]
) -> Callable[..., Any]:
    """The step, which says that it depends on its arguments and on these user-defined functions alone.

    None: nobody knows on what it depends.
    """
    step.steady = functions == ()  # type: ignore[attr-defined]
    step.functions = functions  # type: ignore[attr-defined]
    return step


def user_defined(*functions: Callable[..., Any] | None) -> tuple[Callable[..., Any], ...]:
    """Those of the functions that are not this package's: they may read what changes meanwhile."""
    return tuple(f for f in functions if f is not None and not are_built_in(f))


def are_built_in(*functions: Callable[..., Any] | None) -> bool:
    """Whether all functions are this package's: each is what the package has by its name."""
    return all(f is None or is_built_in(f) for f in functions)


def is_built_in(function: Any) -> bool:
    """Whether the function, or the one that a `Bound` holds beside a number, is this package's."""
    if type(function) is Bound:
        return all(type(c) is float for c in function.constants) and is_built_in(function.function)
    if type(function) is not FunctionType:
        return False
    name = function.__module__ or ""  # which may be copied from another function, as may the other names
    module = sys.modules.get(name) if name.startswith(PACKAGE) else None
    if module is None or function.__globals__ is not vars(module):
        return False
    place: Any = module
    for part in function.__qualname__.split("."):
        place = getattr(place, part, None)
    return place is function
