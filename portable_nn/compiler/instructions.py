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
    fuses = {node for node in graph.nodes if fusable(node)}
    level: dict[Node, int] = {}
    group_of: dict[Node, Instruction] = {}
    for node in graph.nodes:
        joins = [s for s in node.inputs if may_join(s, node, fuses)]
        level[node] = max((level[s] + (s not in joins) for s in node.inputs), default=0)
        if is_computed(node):
            group_of[node] = Instruction([node])
            for s in joins:
                if level[s] == level[node]:
                    merge_smaller(group_of[s], group_of[node], group_of)
    users = users_of(graph)
    for node in reversed(graph.nodes):
        if node in group_of:
            mine = group_of[node]
            reader = only_reader(mine, users, group_of, fuses)
            if reader is not None:
                merge_smaller(mine, reader, group_of)
    return sorted_instructions(graph, group_of)


def only_reader(
    mine: Instruction,
    users: Mapping[Node, list[Node]],
    group_of: Mapping[Node, Instruction],
    fuses: set[Node],
) -> Instruction | None:
    """The only other group that reads `mine`, if it may join that; else None."""
    found = None
    for node in reversed(mine.nodes):  # what others read is mostly near the end
        for user in users[node]:
            theirs = group_of.get(user)
            if theirs is mine:
                continue
            if theirs is None or not may_join(node, user, fuses) or found not in (None, theirs):
                return None
            found = theirs
    return found


def users_of(graph: Graph) -> Mapping[Node, list[Node]]:
    """The nodes that each node is a source of."""
    users = defaultdict(list)
    for node in graph.nodes:
        for s in node.inputs:
            users[s].append(node)
    return users


def may_join(source: Node, user: Node, fuses: set[Node]) -> bool:
    """Whether `source` and the operation that reads it can be computed element by element."""
    return source in fuses and user in fuses and source.shape == user.shape


def merge(one: Instruction, other: Instruction, group_of: dict[Node, Instruction]) -> None:
    """Move the operations of `other` to `one`."""
    if one is not other:
        one.nodes += other.nodes
        group_of.update(dict.fromkeys(other.nodes, one))


def merge_smaller(one: Instruction, other: Instruction, group_of: dict[Node, Instruction]) -> None:
    """Move the operations of the smaller of the two, so that none is moved often."""
    small, large = sorted((one, other), key=lambda each: len(each.nodes))
    merge(large, small, group_of)


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
