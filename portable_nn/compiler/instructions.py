"""Instructions: the operations of a graph, elementwise ones of one shape that feed one another fused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from portable_nn.compiler.graph import Graph, Node, base, is_computed


@dataclass(eq=False)
class Instruction:
    """Operations that are carried out together: one, or an elementwise group in execution order.

    `outputs` are those nodes whose arrays are needed elsewhere; the others need no memory.
    """

    nodes: list[Node]
    outputs: list[Node] = field(default_factory=list)

    @property
    def is_group(self) -> bool:
        """Whether it is elementwise, so that it may overwrite an array that it reads."""
        return self.nodes[0].kind == "elementwise"

    @property
    def sources(self) -> list[Node]:
        """The arrays that it reads and does not compute, each once."""
        inside = set(self.nodes)
        return list(dict.fromkeys(s for n in self.nodes for s in n.inputs if s not in inside))

    def position_of_last_use(self, node: Node) -> int:
        """The position, among its operations, of the last one that reads the memory of `node`."""
        uses = [i for i, n in enumerate(self.nodes) if any(base(s) is node for s in n.inputs)]
        return uses[-1] if uses else -1


Readers: TypeAlias = Mapping[Node, set[Instruction]]
Fusable: TypeAlias = Callable[[Node], bool]


def readers_of(instructions: list[Instruction]) -> Readers:
    """The instructions that read the memory of each node."""
    readers = defaultdict(set)
    for one in instructions:
        for source in one.sources:
            readers[base(source)].add(one)
    return readers


def fuse_elementwise(graph: Graph, fusable: Fusable) -> list[Instruction]:
    """The instructions of the graph; elementwise operations are fused in two passes.

    Two operations may share a group if no path from one to the other leads through a third instruction.
    In the first pass an operation joins its sources of the same level, where each instruction that a
    path leads through raises the level. In the second a group joins the only one that reads it.
    """
    level: dict[Node, int] = {}
    group_of: dict[Node, Instruction] = {}
    for node in graph.nodes:
        joins = [s for s in node.inputs if may_join(s, node, fusable)]
        level[node] = max((level[s] + (s not in joins) for s in node.inputs), default=0)
        if is_computed(node):
            group_of[node] = Instruction([node])
            for s in joins:
                if level[s] == level[node]:
                    merge(group_of[s], group_of[node], group_of)
    users = users_of(graph)
    for node in reversed(graph.nodes):
        if node in group_of:
            mine = group_of[node]
            outside = [(n, u) for n in mine.nodes for u in users[n] if group_of.get(u) is not mine]
            theirs = {id(group_of.get(u)) for _, u in outside}
            if len(theirs) == 1 and all(may_join(n, u, fusable) for n, u in outside):
                merge(mine, group_of[outside[0][1]], group_of)
    return sorted_instructions(graph, group_of)


def users_of(graph: Graph) -> Mapping[Node, list[Node]]:
    """The nodes that each node is a source of."""
    users = defaultdict(list)
    for node in graph.nodes:
        for s in node.inputs:
            users[s].append(node)
    return users


def may_join(source: Node, user: Node, fusable: Fusable) -> bool:
    """Whether `source` and the operation that reads it can be computed element by element."""
    return fusable(source) and fusable(user) and source.shape == user.shape


def merge(one: Instruction, other: Instruction, group_of: dict[Node, Instruction]) -> None:
    """Move the operations of `other` to `one`."""
    if one is not other:
        one.nodes += other.nodes
        group_of.update(dict.fromkeys(other.nodes, one))


def sorted_instructions(graph: Graph, group_of: Mapping[Node, Instruction]) -> list[Instruction]:
    """The instructions, with the nodes of each in execution order and its outputs filled in."""
    results = {base(node) for node in graph.outputs}
    instructions = list(dict.fromkeys(group_of.values()))
    for one in instructions:
        one.nodes.sort(key=lambda n: n.number)
    readers = readers_of(instructions)
    for one in instructions:
        one.outputs = [n for n in one.nodes if n in results or readers[n]]
    return instructions
