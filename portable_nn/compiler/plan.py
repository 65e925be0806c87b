"""The plan of a traced step: its instructions in order, each with the memory that it writes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from portable_nn.compiler.exchange import place_exchanged
from portable_nn.compiler.graph import Graph, Node, base
from portable_nn.compiler.instructions import Fusable, Instruction, Readers, fuse_elementwise, readers_of
from portable_nn.compiler.memory import assign_buffers, can_overwrite, twice
from portable_nn.compiler.ordering import Dependencies, Precedence, order_for_memory
from portable_nn.compiler.side_by_side import Arrangement

Join: TypeAlias = Callable[[Graph, list[Instruction]], list[Instruction]]
Order: TypeAlias = Callable[[list[Instruction], Dependencies, Readers, set[Node]], list[Instruction]]


@dataclass
class Plan:
    """Instructions in order; `buffers` are sizes in bytes, `buffer_of` are numbers of buffers.

    `in_place_of` holds the nodes that overwrite an input, and which one; `copied_to` holds the outputs
    (by number) that could not, and the input to which they are copied at the end of the step. `placed`
    holds the arrays that are part of a longer one, of the kind "memory" or "exchange", and their
    position in it.
    """

    instructions: list[Instruction]
    buffers: list[int]
    buffer_of: dict[Node, int]
    in_place_of: dict[Node, Node]
    copied_to: dict[int, int]
    placed: dict[Node, tuple[Node, int]]


def make_plan(
    graph: Graph,
    fusable: Fusable,
    overwrites: Mapping[int, int],
    join: Join | None = None,
    order: Order = order_for_memory,
    movable: Iterable[Node] | None = None,
    largest: Callable[[int], int] = twice,
) -> Plan:
    """A plan for the graph, where output i is to overwrite input ``overwrites[i]``.

    `join` may fuse the instructions further; `order` puts them in execution order, and may fuse those
    that do not depend on one another. Where the arrays of some inputs are `movable`, equal groups are
    joined. `largest` is that of `assign_buffers`.
    """
    instructions = fuse_elementwise(graph, fusable)
    if join is not None:
        instructions = join(graph, instructions)
    readers = readers_of(instructions)
    maker = {node: one for one in instructions for node in one.nodes}
    dependencies = {
        one: {maker[base(s)] for s in one.sources if base(s) in maker} for one in instructions
    }
    precedence = Precedence(dependencies)
    results = {base(node) for node in graph.outputs}
    in_place_of: dict[Node, Node] = {}
    copied_to = {}
    for out, into in overwrites.items():
        node, target = graph.outputs[out], graph.inputs[into]
        if node is target:
            continue
        if (
            node not in in_place_of
            and target not in results
            and can_overwrite(node, target, maker, readers[target], precedence)
        ):
            in_place_of[node] = target
            precedence.add(maker[node], readers[target] - {maker[node]})
        else:
            copied_to[out] = into
    found = Arrangement(instructions, precedence, in_place_of)
    found.placed |= place_exchanged(graph, readers, results, {*in_place_of})
    if movable is not None:
        found.join_alike(movable)
    readers = readers_of(found.instructions)
    ordered = order(found.instructions, precedence.dependencies, readers, results)
    exchanges = {node for node in graph.nodes if node.kind == "exchange"}
    have_memory = {*in_place_of, *found.placed, *exchanges}
    buffers, buffer_of = assign_buffers(ordered, readers_of(ordered), results, have_memory, largest)
    return Plan(ordered, buffers, buffer_of, in_place_of, copied_to, found.placed)
