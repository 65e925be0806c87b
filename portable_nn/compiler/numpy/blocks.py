"""An elementwise group by calls of NumPy, on blocks of its arrays that stay in a core's own cache."""

from __future__ import annotations

import math

import numpy as np

from portable_nn.compiler.layout import layout_of
from portable_nn.compiler.numpy.page import Page, number_dtype
from portable_nn.compiler.plan import Instruction
from portable_nn.compiler.trace import Node

BLOCK = 16384  # elements: several arrays of so many fit into the cache


def write_group(page: Page, one: Instruction) -> None:
    """The lines of a group: as they are where it is small, else within a loop over blocks."""
    arrays = [*one.sources, *one.outputs]
    shape = one.nodes[0].shape
    flat = shape != () and all(
        a.shape == () or (a.shape == shape and layout_of(a).is_contiguous) for a in arrays
    )
    seen = (math.prod(shape),) if flat else shape
    named = {a: page.seen_as(a, seen if flat and a.shape == shape else a.shape) for a in arrays}
    rows = max(1, BLOCK // max(math.prod(seen[1:]), 1))
    if not seen or seen[0] <= rows:
        group = Group(page, one, named, seen)
        page.steps += group.lines
        return
    inside = {a: f"x{k}" for k, a in enumerate(named)}
    group = Group(page, one, inside, (rows, *seen[1:]))
    parts = [
        f"{name}[s:t]" if (flat and a.shape == shape) or is_cut(a, seen) else name
        for a, name in named.items()
    ]
    parts += [f"{name}[:t - s]" for name in group.temporaries]
    ranges = [(s, min(s + rows, seen[0])) for s in range(0, seen[0], rows)]
    blocks = f"[({', '.join(parts)},) for s, t in {page.name('ranges', ranges)}]"
    variables = ", ".join([*inside.values(), *group.temporaries])
    page.steps.append(f"for {variables}, in {page.once(page.name('blocks', None), blocks)}:")
    page.steps += [f"    {line}" for line in group.lines]


def is_cut(array: Node, seen: tuple[int, ...]) -> bool:
    """Whether the array has the rows of the group, and does not repeat one for all."""
    return len(array.shape) == len(seen) and array.shape[0] == seen[0]


class Group:
    """The `lines` of the operations, into outputs or `temporaries` of the shape given."""

    def __init__(
        self, page: Page, one: Instruction, named: dict[Node, str], shape: tuple[int, ...]
    ) -> None:
        self.page, self.one, self.named, self.shape = page, one, named, shape
        self.where = dict(named)
        self.last = {s: i for i, n in enumerate(one.nodes) for s in n.inputs}
        self.free: dict[np.dtype, list[str]] = {}
        self.temporaries: list[str] = []
        self.lines: list[str] = []
        late: list[str] = []
        for i, node in enumerate(one.nodes):
            operands = [self.operand(node, at) for at in range(len(node.sources))]
            dead = [
                s
                for s in dict.fromkeys(node.inputs)
                if self.last[s] == i and self.where[s] in self.temporaries
            ]
            target = named[node] if node in named and not self.is_needed(node, i) else None
            for s in dead:
                if target is None and s.dtype == node.dtype:
                    target = self.where[s]  # written over
                else:
                    self.free.setdefault(s.dtype, []).append(self.where[s])
            target = target or self.temporary(node)
            if node in named and target != named[node]:
                late.append(f"copyto({named[node]}, {target})")
                self.last[node] = len(one.nodes)
            self.where[node] = target
            self.lines.append(self.operation(node, operands, target))
        self.lines += late

    def is_needed(self, node: Node, at: int) -> bool:
        """Whether `node` takes the memory of an input that a later operation of the group reads."""
        target = self.page.plan.in_place_of.get(node)
        return target is not None and self.one.position_of_last_use(target) > at

    def temporary(self, node: Node) -> str:
        spare = self.free.setdefault(node.dtype, [])
        if spare:
            return spare.pop()
        new = f"t{node.number}"
        self.temporaries.append(new)
        return self.page.once(new, f"empty({self.shape}, {self.page.dtype(node.dtype)})")

    def operand(self, node: Node, at: int) -> str:
        """Source number `at`: an array, or a number as one of no axis, in the dtype it counts in."""
        source = node.sources[at]
        if isinstance(source, Node):
            return self.where[source]
        return self.page.name("c", np.array(source, number_dtype(node, at)))

    def operation(self, node: Node, operands: list[str], target: str) -> str:
        if node.detail == "astype":
            return f"copyto({target}, {operands[0]}, 'unsafe')"
        if node.detail == "where":
            return f"copyto({target}, np.where({', '.join(operands)}))"
        if node.detail in (np.maximum, np.minimum):  # NumPy wants the output of these by its name
            target = f"out={target}"
        return f"{self.page.name('u', node.detail)}({', '.join([*operands, target])})"
