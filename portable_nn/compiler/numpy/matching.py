"""Functions generated for trees of one form: they are called for each epoch of a small network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from portable_nn import trees
from portable_nn.compiler.numpy.codegen import define
from portable_nn.compiler.signatures import HostArray
from portable_nn.trees import Form, Tree

Match: TypeAlias = Callable[[Tree], list[HostArray] | None]
Build: TypeAlias = Callable[[Sequence[Any]], Tree]


def matcher(form: Form, leaves: Sequence[HostArray], first: int) -> Match:
    """A function that gives the arrays of a tree of this form, whose arrays are like these leaves.

    It gives None for any other tree, or where an array is not NumPy's own. From number `first` on the
    arrays of the tree have one axis more, the first, of any length; it is the same for all of them.
    """
    names: dict[str, Any] = {"ndarray": np.ndarray}
    lines: list[str] = []
    found: list[str] = []

    def look(form: Form, name: str) -> None:
        def unless(condition: str) -> None:
            lines.append(f"if not ({condition}): return None")

        def value(x: Any) -> str:
            names[f"c{len(names)}"] = x
            return f"c{len(names) - 1}"

        if form is trees.LEAF:
            shape, dtype = leaves[len(found)].shape, leaves[len(found)].dtype
            unless(f"type({name}) is ndarray and {name}.dtype is {value(dtype)}")
            if len(found) < first:
                unless(f"{name}.shape == {shape}")
            else:
                unless(f"{name}.shape[1:] == {shape} and {name}.ndim == {len(shape) + 1}")
            if len(found) > first:
                unless(f"len({name}) == len({found[first]})")
            found.append(name)
        elif form[0] is trees.CONSTANT:
            _, kind, constant = form
            unless(f"type({name}) is {value(kind)} and {name} == {value(constant)}")
        else:
            is_list, *parts = form
            unless(f"type({name}) is list" if is_list else f"isinstance({name}, tuple)")
            unless(f"len({name}) == {len(parts)}")
            inner = [f"{name}_{k}" for k in range(len(parts))]
            lines.extend([f"{', '.join(inner)}, = {name}"] if inner else [])
            for part, of in zip(parts, inner, strict=True):
                look(part, of)

    look(form, "x")
    lines.append(f"return [{', '.join(found)}]")
    define(["def match(x):", *(f"    {line}" for line in lines)], names)
    match: Match = names["match"]
    return match


def builder(form: Form) -> Build:
    """A function that makes a tree of this form of its leaves."""
    names: dict[str, Any] = {}
    count = 0

    def expression(form: Form) -> str:
        nonlocal count
        if form is trees.LEAF:
            count += 1
            return f"x[{count - 1}]"
        first, *rest = form
        if first is trees.CONSTANT:
            names[f"c{len(names)}"] = rest[-1]
            return f"c{len(names) - 1}"
        inner = "".join(f"{expression(part)}, " for part in rest)
        return f"[{inner}]" if first else f"({inner})"

    define([f"def build(x): return {expression(form)}"], names)
    build: Build = names["build"]
    return build
