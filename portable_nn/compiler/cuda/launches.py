"""The order of a step on a GPU, and what is launched together.

A launch costs more than most of what it does on a small network, so whatever does not depend on one
another is one kernel: parts side by side, each with blocks of threads of its own. Products, which are
cuBLAS's, come first where they can, for they are what others wait for.
"""

from __future__ import annotations

from portable_nn.compiler.cuda.expressions import refuse
from portable_nn.compiler.plan import Before, Instruction, Readers, waits
from portable_nn.compiler.trace import Node

MOST = 24  # parts of one kernel: its arguments have to fit, too, into what a launch takes


class Launch(Instruction):
    """Instructions that one kernel carries out side by side."""

    def __init__(self, parts: list[Instruction]) -> None:
        nodes = [node for part in parts for node in part.nodes]
        super().__init__(nodes, [node for part in parts for node in part.outputs])
        self.parts = parts

    @property
    def is_group(self) -> bool:  # for its memory: nothing of it is written over what another part reads
        return False


def is_product(one: Instruction) -> bool:
    return one.nodes[0].kind == "matmul"


def in_launches(
    instructions: list[Instruction], before: Before, readers: Readers, keep: set[Node]
) -> list[Instruction]:
    """Products one by one as soon as they can be made; in between, all that is ready in one launch."""
    waiting, after = waits(instructions, before)
    ready = [one for one in instructions if not waiting[one]]
    ordered: list[Instruction] = []
    while ready:
        products = [one for one in ready if is_product(one)]
        now = products[:1] or ready[:MOST]
        ordered.append(now[0] if products else Launch(now))
        ready = [one for one in ready if one not in now]
        for done in now:
            for one in after[done]:
                waiting[one] -= 1
                if not waiting[one]:
                    ready.append(one)
    if any(waiting.values()):
        raise refuse("operations that wait for one another")
    return ordered
