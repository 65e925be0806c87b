"""From the operations of a graph to instructions in an order, each with the memory it writes to.

Elementwise operations of one shape that feed one another become one instruction, a `Group`: its
intermediate values need no memory of their own size. Memory is used again as soon as what it holds
is no longer needed, and an output that takes the place of an input is written there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from portable_nn.compiler.trace import Graph, Node

Fusable = Callable[[Node], bool]


@dataclass(eq=False)
class Instruction:
    """Operations carried out together: one, or the elementwise ones of a group in their order."""

    nodes: list[Node]
    outputs: list[Node] = field(default_factory=list)

    @property
    def is_group(self) -> bool:
        return self.nodes[0].kind == "elementwise"

    @property
    def sources(self) -> list[Node]:
        """The arrays it takes from outside, each once."""
        inside = set(self.nodes)
        return list(dict.fromkeys(s for n in self.nodes for s in n.inputs if s not in inside))

    def position_of_last_use(self, node: Node) -> int:
        """The place, among its operations, of the last one that reads `node`'s memory."""
        uses = [i for i, n in enumerate(self.nodes) if any(base(s) is node for s in n.inputs)]
        return uses[-1] if uses else -1


Readers = Mapping[Node, set[Instruction]]
Before = Mapping[Instruction, set[Instruction]]
Join = Callable[[Graph, list[Instruction]], list[Instruction]]
Arrange = Callable[[list[Instruction], Before, Readers, set[Node]], list[Instruction]]


@dataclass
class Plan:
    """Instructions in order, and the buffer (of so many bytes) or the input each array lies in."""

    instructions: list[Instruction]
    buffers: list[int]
    buffer_of: dict[Node, int]
    in_place_of: dict[Node, Node]  # an output's array: the input whose memory it takes
    left_over: dict[int, int]  # output number: the input it has to be copied to at the end


def base(node: Node) -> Node:
    """The node whose memory a view looks at; any other node itself."""
    while node.kind == "view":
        node = node.sources[0]
    return node


def is_elementwise(node: Node) -> bool:
    return node.kind == "elementwise"


def is_stored(node: Node) -> bool:
    """Whether the node is computed, into memory of its own."""
    return node.kind not in ("input", "constant", "view")


def make_plan(
    graph: Graph,
    fusable: Fusable,
    places: Mapping[int, int],
    join: Join | None = None,
    arrange: Arrange | None = None,
) -> Plan:
    """A plan for the graph; output number i is to take the memory of input number ``places[i]``.

    `join` may make fewer instructions of the groups; `arrange`, in the place of `in_order`, puts them in
    order, and may make one of several that do not depend on one another.
    """
    instructions = grouped(graph, fusable)
    if join is not None:
        instructions = join(graph, instructions)
    readers = readers_of(instructions)
    maker = {node: one for one in instructions for node in one.nodes}
    before = {one: {maker[base(s)] for s in one.sources if base(s) in maker} for one in instructions}
    keep = {base(node) for node in graph.outputs}
    in_place_of: dict[Node, Node] = {}
    left_over = {}
    for out, into in places.items():
        node, target = graph.outputs[out], graph.inputs[into]
        if node is target:
            continue
        if (
            node not in in_place_of
            and target not in keep
            and can_take_place(node, target, maker, readers[target], before)
        ):
            in_place_of[node] = target
            before[maker[node]] |= readers[target] - {maker[node]}
        else:
            left_over[out] = into
    ordered = (arrange or in_order)(instructions, before, readers, keep)
    buffers, buffer_of = placed(ordered, readers_of(ordered), keep, in_place_of)
    return Plan(ordered, buffers, buffer_of, in_place_of, left_over)


def readers_of(instructions: list[Instruction]) -> Readers:
    """Which instructions read the memory of each node."""
    readers = defaultdict(set)
    for one in instructions:
        for source in one.sources:
            readers[base(source)].add(one)
    return readers


def grouped(graph: Graph, fusable: Fusable) -> list[Instruction]:
    """The instructions, those of one elementwise group together.

    Two operations may share a group where no way from one to the other leads through a third
    instruction: those of one level may, a level being what every such way adds to; and so may a group
    and the only one that uses it.
    """
    level: dict[Node, int] = {}
    group_of: dict[Node, Instruction] = {}
    for node in graph.nodes:
        joins = [s for s in node.inputs if may_join(s, node, fusable)]
        level[node] = max((level[s] + (s not in joins) for s in node.inputs), default=0)
        if is_stored(node):
            group_of[node] = Instruction([node])
            for s in joins:
                if level[s] == level[node]:
                    merge(group_of[s], group_of[node], group_of)
    users = defaultdict(list)
    for node in graph.nodes:
        for s in node.inputs:
            users[s].append(node)
    for node in reversed(graph.nodes):
        if node in group_of:
            mine = group_of[node]
            outside = [(n, u) for n in mine.nodes for u in users[n] if group_of.get(u) is not mine]
            theirs = {id(group_of.get(u)) for _, u in outside}
            if len(theirs) == 1 and all(may_join(n, u, fusable) for n, u in outside):
                merge(mine, group_of[outside[0][1]], group_of)
    return finished(graph, group_of)


def finished(graph: Graph, group_of: Mapping[Node, Instruction]) -> list[Instruction]:
    """The instructions, the nodes of each in their order, and what of them is needed elsewhere."""
    kept = {base(node) for node in graph.outputs}
    instructions = list(dict.fromkeys(group_of.values()))
    for one in instructions:
        one.nodes.sort(key=lambda n: n.number)
    used = readers_of(instructions)
    for one in instructions:
        one.outputs = [n for n in one.nodes if n in kept or used[n]]
    return instructions


def may_join(source: Node, user: Node, fusable: Fusable) -> bool:
    """Whether `source` and what uses it can be computed index by index."""
    return fusable(source) and fusable(user) and source.shape == user.shape


def merge(one: Instruction, other: Instruction, group_of: dict[Node, Instruction]) -> None:
    """Make one instruction of two."""
    if one is not other:
        one.nodes += other.nodes
        group_of.update(dict.fromkeys(other.nodes, one))


def can_take_place(
    node: Node,
    target: Node,
    maker: Mapping[Node, Instruction],
    readers: set[Instruction],
    before: Before,
) -> bool:
    """Whether `node` can be written over the input `target`: no one needs the old values after it."""
    if node not in maker or not maker[node].is_group:
        return False
    if (node.shape, node.dtype) != (target.shape, target.dtype):
        return False
    mine = maker[node]
    if any(s is not target and base(s) is target for s in mine.sources):
        return False  # read there by another index
    if any(n is not node and n.shape != node.shape for n in mine.nodes):
        return False
    return not comes_before(mine, readers - {mine}, before)


def comes_before(one: Instruction, others: set[Instruction], before: Before) -> bool:
    """Whether any of the `others` needs `one` to be done."""
    seen, stack = set(), list(others)
    while stack:
        other = stack.pop()
        if other is one:
            return True
        if other not in seen:
            seen.add(other)
            stack += before[other]
    return False


def waits(
    instructions: list[Instruction], before: Before
) -> tuple[dict[Instruction, int], Mapping[Instruction, list[Instruction]]]:
    """For how many others each instruction waits, and which ones wait for it."""
    after = defaultdict(list)
    for one in instructions:
        for other in before[one]:
            after[other].append(one)
    return {one: len(before[one]) for one in instructions}, after


def in_order(
    instructions: list[Instruction],
    before: Before,
    readers: Readers,
    keep: set[Node],
) -> list[Instruction]:
    """An order in which everything is there when it is needed, and what frees memory comes soon."""
    waiting, after = waits(instructions, before)
    unread = {node: len(those) for node, those in readers.items()}
    first = {one: (one.nodes[-1].number) for one in instructions}
    ready = [one for one in instructions if not waiting[one]]
    ordered = []

    def gain(one: Instruction) -> int:
        freed = sum(
            nbytes(b)
            for b in {base(s) for s in one.sources}
            if is_stored(b) and b not in keep and unread[b] == 1
        )
        return freed - sum(nbytes(n) for n in one.outputs if n not in keep)

    while ready:
        gains = {one: gain(one) for one in ready}
        best = min(ready, key=lambda one: (-max(gains[one], 0), first[one]))
        ready.remove(best)
        ordered.append(best)
        for b in {base(s) for s in best.sources}:
            unread[b] -= 1
        for one in after[best]:
            waiting[one] -= 1
            if not waiting[one]:
                ready.append(one)
    return ordered


def nbytes(node: Node) -> int:
    return int(np.prod(node.shape, dtype=np.int64)) * node.dtype.itemsize


def placed(
    ordered: list[Instruction],
    readers: Readers,
    keep: set[Node],
    in_place_of: Mapping[Node, Node],
) -> tuple[list[int], dict[Node, int]]:
    """How many bytes each buffer has, and which one each stored node lies in."""
    buffers: list[int] = []
    buffer_of: dict[Node, int] = {}
    free: list[int] = []
    unread = {node: len(those) for node, those in readers.items()}
    for one in ordered:
        done = []
        for b in {base(s): None for s in one.sources}:
            unread[b] -= 1
            if unread[b] == 0 and b in buffer_of and b not in keep:
                done.append(b)
        for node in one.outputs:
            if node in in_place_of:
                continue
            reused = next((b for b in done if node not in keep and can_reuse(one, node, b)), None)
            if reused is not None:
                done.remove(reused)
                buffer_of[node] = buffer_of[reused]
                continue
            size = nbytes(node)
            fits = [b for b in free if buffers[b] >= size and buffers[b] <= 2 * size + 1024]
            if fits and node not in keep:
                buffer_of[node] = min(fits, key=lambda b: buffers[b])
                free.remove(buffer_of[node])
            else:
                buffers.append(size)
                buffer_of[node] = len(buffers) - 1
        free += [buffer_of[b] for b in done]
        free += [
            buffer_of[n] for n in one.outputs if n in buffer_of and n not in keep and not unread.get(n)
        ]
    return buffers, buffer_of


def can_reuse(one: Instruction, node: Node, dead: Node) -> bool:
    """Whether a group may write `node` over `dead`, which it is the last to read, at the same index."""
    if not one.is_group or (node.shape, node.dtype) != (dead.shape, dead.dtype):
        return False
    if any(s is not dead and base(s) is dead for s in one.sources):
        return False
    return one.position_of_last_use(dead) <= one.nodes.index(node)
