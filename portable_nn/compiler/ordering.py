"""The execution order of instructions: what they depend on first, and what frees memory soon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TypeAlias

from portable_nn.compiler.graph import Node, base, is_computed
from portable_nn.compiler.instructions import Instruction, Readers

Dependencies: TypeAlias = Mapping[Instruction, set[Instruction]]  # what has to come before each


def comes_before(one: Instruction, others: set[Instruction], dependencies: Dependencies) -> bool:
    """Whether any of the `others` depends on `one`, directly or not."""
    seen, stack = set(), list(others)
    while stack:
        other = stack.pop()
        if other is one:
            return True
        if other not in seen:
            seen.add(other)
            stack += dependencies[other]
    return False


def count_dependencies(
    instructions: list[Instruction], dependencies: Dependencies
) -> tuple[dict[Instruction, int], Mapping[Instruction, list[Instruction]]]:
    """How many others each instruction depends on, and which ones depend on it."""
    dependents = defaultdict(list)
    for one in instructions:
        for other in dependencies[one]:
            dependents[other].append(one)
    return {one: len(dependencies[one]) for one in instructions}, dependents


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
    unread = {node: len(those) for node, those in readers.items()}
    first = {one: one.nodes[-1].number for one in instructions}
    ready = [one for one in instructions if not missing[one]]
    ordered = []

    def gain(one: Instruction) -> int:
        freed = sum(
            b.nbytes
            for b in {base(s) for s in one.sources}
            if is_computed(b) and b not in results and unread[b] == 1
        )
        return freed - sum(n.nbytes for n in one.outputs if n not in results)

    while ready:
        gains = {one: gain(one) for one in ready}
        best = min(ready, key=lambda one: (-max(gains[one], 0), first[one]))
        ready.remove(best)
        ordered.append(best)
        for b in {base(s) for s in best.sources}:
            unread[b] -= 1
        for one in dependents[best]:
            missing[one] -= 1
            if not missing[one]:
                ready.append(one)
    return ordered
