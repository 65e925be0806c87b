"""The execution order of instructions: what they depend on first, and what frees memory soon.

A step has some ten instructions a layer, so everything here takes time in proportion to their number, or
little more: an order is searched in a heap, and a search for a path ends where no path can lead.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping
from typing import TypeAlias

from portable_nn.compiler.graph import Node, base, is_computed
from portable_nn.compiler.instructions import Instruction, Readers

Dependencies: TypeAlias = Mapping[Instruction, set[Instruction]]  # what has to come before each


class Precedence:
    """Which instructions come before which others.

    Every instruction has a higher rank than all that it depends on, so a path from one to another leads
    only through ranks in between. Ranks follow the order of tracing, where all gradients come before the
    updates: then what is to come before an update has a lower rank than it, and nothing is searched.
    """

    def __init__(self, dependencies: dict[Instruction, set[Instruction]]) -> None:
        self.dependencies = dependencies
        self.rank = ranks(dependencies)

    def comes_before(self, one: Instruction, others: set[Instruction]) -> bool:
        """Whether any of the `others` depends on `one`, directly or not."""
        seen: set[Instruction] = set()
        stack = list(others)
        while stack:
            other = stack.pop()
            if other is one:
                return True
            if other not in seen and self.rank[other] >= self.rank[one]:
                seen.add(other)
                stack += self.dependencies[other]
        return False

    def are_connected(self, group: set[Instruction]) -> bool:
        """Whether any of the group depends on another one of it, directly or not."""
        lowest = min(self.rank[one] for one in group)
        seen: set[Instruction] = set()
        stack = [needed for one in group for needed in self.dependencies[one]]
        while stack:
            other = stack.pop()
            if other in group:
                return True
            if other not in seen and self.rank[other] >= lowest:
                seen.add(other)
                stack += self.dependencies[other]
        return False

    def replace(self, group: set[Instruction], one: Instruction) -> None:
        """Put one instruction in the place of a group that is not connected."""
        self.dependencies[one] = set().union(*(self.dependencies.pop(old) for old in group))
        for other, needed in self.dependencies.items():
            if not group.isdisjoint(needed):
                self.dependencies[other] = needed - group | {one}
        self.rank = ranks(self.dependencies)

    def add(self, one: Instruction, others: set[Instruction]) -> None:
        """Let `one`, which comes before none of the `others`, depend on them."""
        self.dependencies[one] |= others
        if any(self.rank[other] > self.rank[one] for other in others):
            self.rank = ranks(self.dependencies)


def ranks(dependencies: Dependencies) -> dict[Instruction, int]:
    """A number for each instruction, higher than those of all that it depends on.

    Instructions that wait for one another, which no target runs, share the highest number.
    """
    missing, dependents = count_dependencies(list(dependencies), dependencies)
    traced = {one.nodes[-1].number: one for one in dependencies}
    ready = [number for number, one in traced.items() if not missing[one]]
    heapq.heapify(ready)
    found = dict.fromkeys(dependencies, len(traced))
    for rank in range(len(traced)):
        if not ready:
            break
        best = traced[heapq.heappop(ready)]
        found[best] = rank
        for one in dependents[best]:
            missing[one] -= 1
            if not missing[one]:
                heapq.heappush(ready, one.nodes[-1].number)
    return found


def count_dependencies(
    instructions: list[Instruction], dependencies: Dependencies
) -> tuple[dict[Instruction, int], Mapping[Instruction, list[Instruction]]]:
    """How many others each instruction depends on, and which ones depend on it."""
    dependents = defaultdict(list)
    for one in instructions:
        for other in dependencies[one]:
            dependents[other].append(one)
    return {one: len(dependencies[one]) for one in instructions}, dependents


def order_of_tracing(
    instructions: list[Instruction],
    dependencies: Dependencies,
    readers: Readers,
    results: set[Node],
) -> list[Instruction]:
    """The execution order nearest to that of tracing: it depends on no size of an array."""
    return sorted(instructions, key=ranks(dependencies).__getitem__)


def order_for_memory(
    instructions: list[Instruction],
    dependencies: Dependencies,
    readers: Readers,
    results: set[Node],
) -> list[Instruction]:
    """An execution order; of the instructions that are ready, the one that frees most memory is next.

    `results` are needed after the step, so their memory is never freed.
    """
    missing, dependents = count_dependencies(instructions, dependencies)
    waiting = {node: set(those) for node, those in readers.items()}  # those that have not read it yet
    sources = {one: {base(s) for s in one.sources} for one in instructions}
    traced = {one.nodes[-1].number: one for one in instructions}
    gain: dict[Instruction, int] = {}  # the bytes that it frees, less those that it needs
    ready: list[tuple[int, int]] = []
    done: set[Instruction] = set()
    ordered = []

    def is_freed(node: Node) -> bool:
        return is_computed(node) and node not in results and len(waiting[node]) == 1

    def enter(one: Instruction) -> None:
        heapq.heappush(ready, (-max(gain[one], 0), one.nodes[-1].number))

    for one in instructions:
        freed = sum(b.nbytes for b in sources[one] if is_freed(b))
        gain[one] = freed - sum(n.nbytes for n in one.outputs if n not in results)
        if not missing[one]:
            enter(one)
    while ready:
        best = traced[heapq.heappop(ready)[1]]
        if best in done:  # it was entered again when its gain rose
            continue
        done.add(best)
        ordered.append(best)
        for b in sources[best]:
            waiting[b].remove(best)
            if is_freed(b):
                (last,) = waiting[b]
                gain[last] += b.nbytes
                if not missing[last]:
                    enter(last)
        for one in dependents[best]:
            missing[one] -= 1
            if not missing[one]:
                enter(one)
    return ordered
