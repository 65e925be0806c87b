"""Equal elementwise groups as one, on arrays side by side in memory.

An update does the same to every W and b. For small arrays the calls take longer than the arithmetic, so
arrays that are used alike are placed one behind the other, and one group computes them all.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from portable_nn.compiler.graph import Node, is_computed
from portable_nn.compiler.instructions import Instruction
from portable_nn.compiler.ordering import Precedence


@dataclass
class Arrangement:
    """The instructions, what comes before what, and where arrays are.

    `placed` holds, for arrays that are part of a longer one, that one and the position in it; longer
    ones are nodes of the kind "memory".
    """

    instructions: list[Instruction]
    precedence: Precedence
    in_place_of: dict[Node, Node]
    placed: dict[Node, tuple[Node, int]] = field(default_factory=dict)
    longer: dict[tuple[Node, ...], Node] = field(default_factory=dict)  # than the arrays one by one

    def join_alike(self, own_inputs: Iterable[Node]) -> None:
        """Let one group take the place of equal ones that do not depend on one another.

        The arrays of `own_inputs` may be placed anywhere, as computed ones may; other inputs may not.
        """
        movable = set(own_inputs)
        alike: dict[Hashable, list[Member]] = defaultdict(list)
        for one in self.instructions:
            member = member_of(one, self.in_place_of, movable) if one.is_group else None
            if member is not None:
                alike[member.key].append(member)
        for members in alike.values():
            if len(members) > 1 and self.may_join(members):
                self.join(members)

    def may_join(self, members: list[Member]) -> bool:
        """Whether the members do not depend on one another, and each array has one place."""
        arrays = [array for member in members for array in member.arrays]
        if len(set(arrays)) < len(arrays):
            return False
        for alike in zip(*(member.arrays for member in members), strict=True):
            if any(array in self.placed for array in alike) and self.longer.get(alike) is None:
                return False
        return not self.precedence.are_connected({member.one for member in members})

    def join(self, members: list[Member]) -> None:
        """Let one group take the place of these."""
        sizes = [math.prod(member.one.nodes[0].shape) for member in members]
        total, first = sum(sizes), members[0]
        longer: dict[Node, Node] = {}  # than each array of the first member
        for alike in zip(*(member.arrays for member in members), strict=True):
            memory = Node("memory", (), None, (total,), alike[0].dtype, alike[0].number)
            longer[alike[0]] = memory = self.longer.setdefault(alike, memory)
            for i, array in enumerate(alike):
                self.placed[array] = memory, sum(sizes[:i])
        new: dict[Any, Node] = {}
        for node in first.one.nodes:
            known = longer | new
            sources = tuple(known.get(s, s) if isinstance(s, Node) else s for s in node.sources)
            new[node] = dataclasses.replace(node, sources=sources, shape=(total,))
        one = Instruction([*new.values()], [new[node] for node in first.one.outputs])
        for node in first.one.outputs:
            self.in_place_of[new[node]] = longer[self.in_place_of.get(node, node)]
        self.replace({member.one for member in members}, one)

    def replace(self, groups: set[Instruction], one: Instruction) -> None:
        """Put one instruction in the place of several."""
        self.precedence.replace(groups, one)
        self.instructions = [*(i for i in self.instructions if i not in groups), one]


@dataclass
class Member:
    """A group that may be joined with others of the same `key`, and its arrays in the order of use."""

    one: Instruction
    key: Hashable
    arrays: list[Node]


def member_of(one: Instruction, in_place_of: Mapping[Node, Node], movable: set[Node]) -> Member | None:
    """The group as such a member; None where one of its arrays has to stay where it is."""
    shape = one.nodes[0].shape
    if any(node.shape != shape for node in one.nodes) or shape == ():
        return None
    computed = {node: i for i, node in enumerate(one.nodes)}
    arrays: dict[Node, int] = {}
    described: list[Hashable] = []
    for node in one.nodes:
        parts: list[Hashable] = []
        for source in node.sources:
            if not isinstance(source, Node):
                parts.append((type(source), repr(source)))
            elif source in computed:
                parts.append(("result", computed[source]))
            elif source.shape == ():
                parts.append(("shared", source.number, id(source)))
            elif source.shape == shape and (
                source in movable or (is_computed(source) and source not in in_place_of)
            ):
                parts.append(("array", arrays.setdefault(source, len(arrays)), source.dtype.str))
            else:
                return None
        described.append((str(node.detail), id(node.detail), node.dtype.str, tuple(parts)))
    for node in one.outputs:
        target = in_place_of.get(node)
        if target is not None and target not in arrays:
            return None
        place = arrays.setdefault(node, len(arrays)) if target is None else arrays[target]
        described.append(("output", computed[node], place, target is None))
    return Member(one, tuple(described), [*arrays])
