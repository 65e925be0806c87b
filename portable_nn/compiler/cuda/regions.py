"""Reductions, and what is carried out together with them.

A reduction over the last axis is made row by row, one over the axis before it column by column. What
leads to it element by element, and what goes on from its results in the same rows or columns, joins it:
a softmax with its cost and its derivative is one kernel, and so is a layer's error signal with its sums.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from portable_nn.compiler.cuda.expressions import refuse
from portable_nn.compiler.plan import Instruction, finished
from portable_nn.compiler.trace import Graph, Node

Shape = tuple[int, ...]
SHORT = 32  # rows: so few are summed within a column first


@dataclass(frozen=True)
class Lines:
    """How an array of `shape` is gone through: `count` lines of `length` elements, one result each.

    The lines are rows, or columns, which repeat after each `stride` elements. `kept` is the shape of the
    results where the axis is kept.
    """

    shape: Shape
    count: int
    length: int
    stride: int = 1
    axes: int = 1  # how many are gone through, where the lines are rows

    @property
    def kept(self) -> Shape:
        at = {-2} if self.stride > 1 else set(range(-self.axes, 0))
        return tuple(1 if d - len(self.shape) in at else n for d, n in enumerate(self.shape))


def axes_of(node: Node) -> tuple[int, ...]:
    """The axes that a reduction goes over, counted from the end: -1, -2, ..."""
    (source,), (_, axis, _) = node.sources, node.detail
    ndim = len(source.shape)
    given = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(sorted((a % ndim - ndim for a in given), reverse=True))


def lines_of(node: Node) -> Lines:
    """How the source of a reduction is gone through; raises UntraceableError for other axes."""
    if node.sources[0].dtype.kind != "f" and node.detail[0] is not np.logical_and:
        raise refuse("a reduction of no floats")
    shape, axes = node.sources[0].shape, axes_of(node)
    long = [a for a in axes if shape[a] > 1]
    if not math.prod(shape):
        raise refuse(f"a reduction of no elements, of {shape}")
    if axes == (-2,) and shape[-1] > 1:
        return Lines(shape, math.prod(shape) // shape[-2], shape[-2], shape[-1])
    if axes == tuple(range(-1, -len(axes) - 1, -1)) and long in ([], [-1], list(axes), [-2]):
        length = math.prod(shape[a] for a in axes)
        return Lines(shape, math.prod(shape) // length, length, 1, max((-a for a in long), default=1))
    if axes == (-2,):
        return Lines(shape, math.prod(shape) // shape[-2], shape[-2])
    raise refuse(f"a reduction of {shape} over the axes {axes}")


def in_two(graph: Graph) -> Graph:
    """The graph with each sum over rows and columns made one over the one, then over the other."""
    nodes: list[Node] = []
    new: dict[Node, Node] = {}
    for node in graph.nodes:
        sources = tuple(new[s] if isinstance(s, Node) else s for s in node.sources)
        if node.kind == "reduce" and axes_of(node) == (-1, -2) and min(sources[0].shape[-2:]) > 1:
            ufunc, _, _ = node.detail
            axis = -2 if sources[0].shape[-2] <= SHORT else -1
            *lead, rows, columns = sources[0].shape
            shape = (*lead, 1, columns) if axis == -2 else (*lead, rows, 1)
            first = replace(node, sources=sources, detail=(ufunc, axis, True), shape=shape)
            nodes.append(replace(first, number=len(nodes)))
            sources = (nodes[-1],)
        new[node] = replace(node, sources=sources, number=len(nodes))
        nodes.append(new[node])
    inputs, outputs = ([new[node] for node in those] for those in (graph.inputs, graph.outputs))
    return Graph(nodes, inputs, outputs, graph.record)


def joined(graph: Graph, instructions: list[Instruction]) -> list[Instruction]:
    """The instructions, each reduction with what can be carried out in its rows or columns.

    What gives an output of the step stays apart: it may be written over an input.
    """
    outputs = set(graph.outputs)
    group_of = {node: one for one in instructions for node in one.nodes}
    users = defaultdict(list)
    for node in graph.nodes:
        for s in node.inputs:
            users[s].append(node)
    for node in graph.nodes:
        if node.kind == "reduce":
            grow(node, group_of, users, outputs)
    return finished(graph, group_of)


def grow(
    reduction: Node,
    group_of: dict[Node, Instruction],
    users: Mapping[Node, list[Node]],
    outputs: set[Node],
) -> None:
    """Join to the reduction what can be, beginning beside it, as long as there is something."""
    lines = lines_of(reduction)
    waiting = list(beside(group_of[reduction], group_of, users))
    while waiting:
        mine, other = group_of[reduction], waiting.pop()
        if group_of[other.nodes[0]] is not other:  # it has been joined meanwhile
            continue
        if other is mine or not fits(other, lines, outputs) or not meet(mine, other, lines):
            continue
        if goes_round(mine, other, group_of, users) or goes_round(other, mine, group_of, users):
            continue
        mine.nodes += other.nodes
        group_of.update(dict.fromkeys(other.nodes, mine))
        waiting += beside(mine, group_of, users)


def beside(
    one: Instruction, group_of: Mapping[Node, Instruction], users: Mapping[Node, list[Node]]
) -> Iterable[Instruction]:
    """The instructions that `one` takes from, or that take from it, without a view in between."""
    near = {s: None for node in one.nodes for s in (*node.inputs, *users[node])}
    return {group_of[s]: None for s in near if s in group_of and group_of[s] is not one}


def fits(one: Instruction, lines: Lines, outputs: set[Node]) -> bool:
    """Whether the instruction can be carried out in these lines."""
    if lines.kept == lines.shape or not outputs.isdisjoint(one.nodes):
        return False
    for node in one.nodes:
        if node.kind == "reduce":
            if lines_of(node) != lines:
                return False
        elif node.kind != "elementwise" or node.shape not in (lines.shape, lines.kept):
            return False
    return True


def meet(one: Instruction, other: Instruction, lines: Lines) -> bool:
    """Whether what either takes of the other's results has the shape that belongs to the lines."""
    both = {*one.nodes, *other.nodes}
    taken = {s for node in both for s in node.inputs if s in both and s.kind == "reduce"}
    return all(s.shape == lines.kept for s in taken)


def goes_round(
    one: Instruction,
    other: Instruction,
    group_of: Mapping[Node, Instruction],
    users: Mapping[Node, list[Node]],
) -> bool:
    """Whether a way leads from `one` to `other` through a third, or through a view."""
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
