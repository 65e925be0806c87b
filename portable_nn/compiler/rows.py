"""A function that does the same for every row, traced for one: sources and exports are written from it.

It is traced for one row and for two. Where the shapes differ is the axis of the rows; whatever else
differs would make a row's result depend on how many there are, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from portable_nn.compiler.graph import Graph, Node, UntraceableError
from portable_nn.compiler.layout import layout_of
from portable_nn.compiler.signatures import HostArray
from portable_nn.compiler.stand_ins import stand_in
from portable_nn.compiler.trace import trace


@dataclass(frozen=True)
class RowGraph:
    """The graph for one row, and the axis of the rows in the arrays that have one.

    Its first input is the row (1, n), or the column (n, 1); the others are arrays that all rows share,
    `shared`.
    """

    graph: Graph
    axis: Mapping[Node, int]
    shared: Sequence[HostArray]

    @property
    def row(self) -> Node:
        """The input that is the row."""
        return self.graph.inputs[0]

    @property
    def output(self) -> Node:
        """The result."""
        return self.graph.outputs[0]

    def value(self, node: Node) -> HostArray | None:
        """The array of a constant or of an input that all rows share; None for any other node."""
        if node.kind == "constant":
            constant: HostArray = node.detail
            return constant
        return self.shared[node.detail - 1] if node.kind == "input" and node.detail else None


def trace_row(function: Callable[..., Any], n: int, shared: Sequence[HostArray]) -> RowGraph:
    """The graph of ``function(X, *shared)`` for rows X (B, n), of which row i of the result depends on
    row i of X alone.

    Raises UntraceableError where the function cannot be traced, or does not treat every row alike.
    """
    return traced_alike(function, lambda rows: (rows, n), shared, shared[0].dtype)


def trace_column(
    function: Callable[..., Any], n: int, shared: Sequence[HostArray], dtype: np.dtype[Any]
) -> RowGraph:
    """As `trace_row`, of a function of examples in columns A (n, B)."""
    return traced_alike(function, lambda rows: (n, rows), shared, dtype)


def traced_alike(
    function: Callable[..., Any],
    shape: Callable[[int], tuple[int, int]],
    shared: Sequence[HostArray],
    dtype: np.dtype[Any],
) -> RowGraph:
    """The graph for one example; ``shape(rows)`` is that of the first argument for so many."""

    def graph_of(rows: int) -> Graph:
        arrays = [stand_in(shape(rows), dtype), *shared]
        return trace(lambda *traced: [function(*traced)], arrays, to_the_bit=False)

    one, two = graph_of(1), graph_of(2)
    if len(one.nodes) != len(two.nodes):
        raise UntraceableError("what it does depends on the number of rows, or changes")
    axis: dict[Node, int] = {}
    for node, other in zip(one.nodes, two.nodes, strict=True):
        if signature(node) != signature(other):
            raise UntraceableError("what it does depends on the number of rows, or changes")
        if node.shape != other.shape:
            axis[node] = axis_of_rows(node.shape, other.shape)
            if layout_of(other).strides[axis[node]] < 0:
                raise UntraceableError("it turns the order of the rows around")
    for node in one.nodes:
        if mixes_rows(node, axis):
            raise UntraceableError("it combines several rows")
    return RowGraph(one, axis, shared)


def signature(node: Node) -> Hashable:
    """What a node does, apart from shapes."""
    sources = tuple(s.number if isinstance(s, Node) else (type(s), repr(s)) for s in node.sources)
    detail: Hashable = None
    if node.kind == "constant":
        detail = node.detail.dtype.str, node.detail.tobytes()
    elif node.kind != "view":  # two traces never share the function of a view
        detail = repr(node.detail)
    return node.kind, sources, detail, node.dtype, len(node.shape)


def axis_of_rows(one: tuple[int, ...], two: tuple[int, ...]) -> int:
    """The axis that has one element for one row, and two for two."""
    found = [i for i, (n, m) in enumerate(zip(one, two, strict=True)) if n != m]
    if len(found) != 1 or one[found[0]] != 1:
        raise UntraceableError("rows are put together with other elements")
    return found[0]


def mixes_rows(node: Node, axis: Mapping[Node, int]) -> bool:
    """Whether a reduction or a product goes over the axis of the rows, or it is lost otherwise."""
    having = [s for s in node.inputs if s in axis]
    if node.kind == "matmul":
        left, right = node.sources
        return (
            axis.get(left) == len(left.shape) - 1
            or axis.get(right) == len(right.shape) - 2
            or len(having) > 1
        )
    if node.kind == "reduce":
        _, over, _ = node.detail
        (source,), d = node.sources, len(node.sources[0].shape)
        return source in axis and axis[source] in normalize_axis_tuple(
            range(d) if over is None else over, d
        )
    if node.kind == "elementwise":  # row i with row i
        last = {axis[s] - len(s.shape) for s in having}
        return len(last) > 1
    return bool(having) and node not in axis and node.kind in ("view", "take", "call")
