"""The graph of a traced step: its operations, and the arrays between them, without values."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Call: TypeAlias = tuple[Any, Any, Any]  # a function, its arguments, its keyword arguments


class UntraceableError(TypeError):
    """The step cannot be traced, or not be compiled for this target; it runs eagerly instead."""


@dataclass(eq=False)
class Node:
    """An operation, and the array that results from it.

    kind is "input" (`detail`: its number), "constant" (the array), "view" (a function of the array),
    "elementwise" (the ufunc, or "astype", "where"), "matmul", "reduce" (ufunc, axis, keepdims), "take"
    (rows of a 2-d array), "memory" (uninitialized), "exchange" (its sources one behind the other, as a
    function has left them: see `exchanged`), or "call" (any other function: a `Call` with placeholders
    for its arrays).
    `sources` are nodes; for an elementwise operation Python numbers too. `row_major` says whether the
    array of an eager step is contiguous in row-major order, as the arrays of programs are.
    """

    kind: str
    sources: tuple[Any, ...]
    detail: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    number: int = -1
    row_major: bool = True

    @property
    def inputs(self) -> list[Node]:
        """The nodes among the sources."""
        return [source for source in self.sources if isinstance(source, Node)]

    @property
    def nbytes(self) -> int:
        """The size of the array in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Placeholder:
    """Stands for the array number `index` in the arguments of a call."""

    index: int


@dataclass
class Graph:
    """The operations that the outputs need, in the order in which they were traced.

    Two traces of a step have equal fingerprints if the step does the same in both: it holds all
    operations, needed or not, and the numbers and arrays that the step read from elsewhere.
    """

    nodes: list[Node]
    inputs: list[Node]
    outputs: list[Node]
    fingerprint: list[Hashable]


def base(node: Node) -> Node:
    """The node whose memory a view reads; any other node itself."""
    while node.kind == "view":
        node = node.sources[0]
    return node


def apply_views(node: Node, array: Any) -> Any:
    """The views between `node` and its base, applied to an array in the place of the base."""
    return node.detail(apply_views(node.sources[0], array)) if node.kind == "view" else array


def is_elementwise(node: Node) -> bool:
    """Whether element i of the result depends on element i of the sources alone."""
    return node.kind == "elementwise"


def is_computed(node: Node) -> bool:
    """Whether the array is written by an operation of the step, to memory of its own."""
    return node.kind not in ("input", "constant", "view", "memory")


def apply_call(detail: Call, arrays: Sequence[Any]) -> Any:
    """Call the function of a node of the kind "call" with `arrays` for its placeholders."""

    def filled(x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return type(x)(filled(y) for y in x)
        return arrays[x.index] if isinstance(x, Placeholder) else x

    function, arguments, options = detail
    return function(*filled(arguments), **{name: filled(x) for name, x in options.items()})


def axis_given(rest: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """The axis of a call, if it is all that was given beside the arrays; else None."""
    given = [*rest, *(x for name, x in options.items() if name == "axis")]
    return given[0] if len(given) == 1 and len(rest) + len(options) == 1 else None
