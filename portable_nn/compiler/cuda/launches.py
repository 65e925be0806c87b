"""The order of the launches of a step, and which instructions share one.

On a small network a launch takes longer than the work that it does. So instructions that do not depend
on one another share a kernel, each with blocks of its own. Matrix products, which are cuBLAS's, go first
whenever they can, because others wait for them.
"""

from __future__ import annotations

from portable_nn.compiler.cuda.expressions import unsupported
from portable_nn.compiler.graph import Node
from portable_nn.compiler.instructions import Instruction, Readers
from portable_nn.compiler.ordering import Dependencies, count_dependencies

MAX_PARTS = 24  # of one kernel, so that its arguments fit into what a launch takes


class KernelLaunch(Instruction):
    """Instructions that one kernel carries out side by side."""

    def __init__(self, parts: list[Instruction]) -> None:
        nodes = [node for part in parts for node in part.nodes]
        super().__init__(nodes, [node for part in parts for node in part.outputs])
        self.parts = parts

    @property
    def is_group(self) -> bool:
        """False: it must not overwrite what it reads, because its parts run in any order."""
        return False


def is_product(one: Instruction) -> bool:
    """Whether the instruction is a matrix product."""
    return one.nodes[0].kind == "matmul"


def order_launches(
    instructions: list[Instruction], dependencies: Dependencies, readers: Readers, results: set[Node]
) -> list[Instruction]:
    """Each product as soon as its operands are known; in between, all that is ready in one launch."""
    missing, dependents = count_dependencies(instructions, dependencies)
    ready = [one for one in instructions if not missing[one]]
    ordered: list[Instruction] = []
    while ready:
        products = [one for one in ready if is_product(one)]
        now = products[:1] or ready[:MAX_PARTS]
        ordered.append(now[0] if products else KernelLaunch(now))
        ready = [one for one in ready if one not in now]
        for done in now:
            for one in dependents[done]:
                missing[one] -= 1
                if not missing[one]:
                    ready.append(one)
    if any(missing.values()):
        raise unsupported("operations that wait for one another")
    return ordered
