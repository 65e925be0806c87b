"""Regions: reductions, fused with the elementwise operations before and after them.

A reduction goes over the segments of an array: its rows, or its columns. The elementwise operations that
compute its source, and those that use its results in the same segments, join its region. So a softmax
with its cost and its derivative is one kernel, and so is a layer's error signal with its sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from portable_nn.compiler.cuda.expressions import unsupported
from portable_nn.compiler.graph import Graph, Node
from portable_nn.compiler.instructions import Instruction, merge, sorted_instructions, users_of
from portable_nn.compiler.layout import Shape

FEW_ROWS = 32  # a matrix of no more rows is summed over its rows first, else over its columns


@dataclass(frozen=True)
class Segments:
    """An array of `shape` as `count` segments of `length` elements, each reduced to one value.

    The elements of a segment are `stride` apart: 1 in rows, which may go over the last `axes` axes
    together, and the number of columns in columns.
    """

    shape: Shape
    count: int
    length: int
    stride: int = 1
    axes: int = 1

    @property
    def keepdims_shape(self) -> Shape:
        """The shape of the results with the reduced axes kept as axes of length 1."""
        reduced = {-2} if self.stride > 1 else set(range(-self.axes, 0))
        return tuple(1 if d - len(self.shape) in reduced else n for d, n in enumerate(self.shape))


def axes_of(node: Node) -> tuple[int, ...]:
    """The axes that a reduction goes over, counted from the end: -1, -2, ..."""
    (source,), (_, axis, _) = node.sources, node.detail
    ndim = len(source.shape)
    given = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(sorted((a % ndim - ndim for a in given), reverse=True))


def segments_of(node: Node) -> Segments:
    """The segments of a reduction; raises UntraceableError for axes that are not supported."""
    if node.sources[0].dtype.kind != "f" and node.detail[0] is not np.logical_and:
        raise unsupported("a reduction of integers or bools")
    shape, axes = node.sources[0].shape, axes_of(node)
    long = [a for a in axes if shape[a] > 1]
    if not math.prod(shape):
        raise unsupported(f"a reduction of no elements, of {shape}")
    if axes == (-2,) and shape[-1] > 1:
        return Segments(shape, math.prod(shape) // shape[-2], shape[-2], shape[-1])
    if axes == tuple(range(-1, -len(axes) - 1, -1)) and long in ([], [-1], list(axes), [-2]):
        length = math.prod(shape[a] for a in axes)
        return Segments(shape, math.prod(shape) // length, length, 1, max((-a for a in long), default=1))
    if axes == (-2,):
        return Segments(shape, math.prod(shape) // shape[-2], shape[-2])
    raise unsupported(f"a reduction of {shape} over the axes {axes}")


def split_reductions(graph: Graph) -> Graph:
    """The graph with each reduction over rows and columns split in two, so that many blocks share it."""
    nodes: list[Node] = []
    new: dict[Node, Node] = {}
    for node in graph.nodes:
        sources = tuple(new[s] if isinstance(s, Node) else s for s in node.sources)
        if node.kind == "reduce" and axes_of(node) == (-1, -2) and min(sources[0].shape[-2:]) > 1:
            ufunc, _, _ = node.detail
            axis = -2 if sources[0].shape[-2] <= FEW_ROWS else -1
            *lead, rows, columns = sources[0].shape
            shape = (*lead, 1, columns) if axis == -2 else (*lead, rows, 1)
            first = replace(node, sources=sources, detail=(ufunc, axis, True), shape=shape)
            nodes.append(replace(first, number=len(nodes)))
            sources = (nodes[-1],)
        new[node] = replace(node, sources=sources, number=len(nodes))
        nodes.append(new[node])
    inputs, outputs = ([new[node] for node in those] for those in (graph.inputs, graph.outputs))
    return Graph(nodes, inputs, outputs, graph.fingerprint)


def fuse_regions(graph: Graph, instructions: list[Instruction]) -> list[Instruction]:
    """The instructions, with each reduction fused with what can be computed in its segments.

    What computes an output of the step stays apart, because it may overwrite an input.
    """
    outputs = set(graph.outputs)
    group_of = {node: one for one in instructions for node in one.nodes}
    users = users_of(graph)
    for node in graph.nodes:
        if node.kind == "reduce":
            grow_region(node, group_of, users, outputs)
    return sorted_instructions(graph, group_of)


def grow_region(
    reduction: Node,
    group_of: dict[Node, Instruction],
    users: Mapping[Node, list[Node]],
    outputs: set[Node],
) -> None:
    """Fuse the reduction with its neighbours, and theirs, as far as they fit."""
    segments = segments_of(reduction)
    waiting = list(neighbours(group_of[reduction], group_of, users))
    while waiting:
        mine, other = group_of[reduction], waiting.pop()
        if group_of[other.nodes[0]] is not other:  # it has been merged meanwhile
            continue
        if (
            other is mine
            or not fits(other, segments, outputs)
            or not shapes_match(mine, other, segments)
        ):
            continue
        if any(has_other_path(*pair, group_of, users) for pair in ((mine, other), (other, mine))):
            continue
        merge(mine, other, group_of)
        waiting += neighbours(mine, group_of, users)


def neighbours(
    one: Instruction, group_of: Mapping[Node, Instruction], users: Mapping[Node, list[Node]]
) -> Iterable[Instruction]:
    """The instructions that `one` reads from, or that read from it, without a view in between."""
    near = {s: None for node in one.nodes for s in (*node.inputs, *users[node])}
    return {group_of[s]: None for s in near if s in group_of and group_of[s] is not one}


def fits(one: Instruction, segments: Segments, outputs: set[Node]) -> bool:
    """Whether the instruction can be computed in these segments."""
    if segments.keepdims_shape == segments.shape or not outputs.isdisjoint(one.nodes):
        return False
    for node in one.nodes:
        if node.kind == "reduce":
            if segments_of(node) != segments:
                return False
        elif node.kind != "elementwise" or node.shape not in (segments.shape, segments.keepdims_shape):
            return False
    return True


def shapes_match(one: Instruction, other: Instruction, segments: Segments) -> bool:
    """Whether all results of reductions that the two use have the shape that keeps the axes."""
    both = {*one.nodes, *other.nodes}
    taken = {s for node in both for s in node.inputs if s in both and s.kind == "reduce"}
    return all(s.shape == segments.keepdims_shape for s in taken)


def has_other_path(
    one: Instruction,
    other: Instruction,
    group_of: Mapping[Node, Instruction],
    users: Mapping[Node, list[Node]],
) -> bool:
    """Whether a path leads from `one` to `other` through a third instruction or a view."""
    seen = set()
    stack = [n for node in one.nodes for n in users[node] if group_of.get(n) not in (one, other)]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if group_of.get(node) is other:
            return True
        mine = group_of[node].nodes if node in group_of else [node]
        seen.update(mine)
        stack += [n for member in mine for n in users[member] if group_of.get(n) is not one]
    return False
