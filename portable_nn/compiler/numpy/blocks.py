"""An elementwise group as calls of NumPy, on blocks of its arrays that fit into a core's own cache."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from portable_nn.compiler.graph import Node
from portable_nn.compiler.instructions import Instruction
from portable_nn.compiler.layout import Shape, layout_of
from portable_nn.compiler.numpy.emitter import Emitter, joined
from portable_nn.compiler.promotion import number_dtype

BLOCK = 16384  # elements: several arrays of so many fit into the cache


def emit_group(emitter: Emitter, one: Instruction) -> None:
    """Add the lines of a group: as they are if its arrays are small, else in a loop over blocks."""
    arrays = [*one.sources, *one.outputs]
    shape = one.nodes[0].shape
    flat = shape != () and all(
        a.shape == () or (a.shape == shape and layout_of(a).is_contiguous) for a in arrays
    )
    full = (math.prod(shape),) if flat else shape
    names = {a: emitter.reshaped(a, full if flat and a.shape == shape else a.shape) for a in arrays}
    rows = max(1, BLOCK // max(math.prod(full[1:]), 1))
    if not full or full[0] <= rows:
        emitter.steps += GroupLines(emitter, one, names, full, "t").lines
        return
    inside = {a: f"x{k}" for k, a in enumerate(names)}
    group = GroupLines(emitter, one, inside, (rows, *full[1:]), "b")
    parts = [
        f"{name}[s:t]" if (flat and a.shape == shape) or has_rows_of(a, full) else name
        for a, name in names.items()
    ]
    parts += [f"{name}[:t - s]" for name in group.temporaries]
    ranges = [(s, min(s + rows, full[0])) for s in range(0, full[0], rows)]
    blocks = f"[({', '.join(parts)},) for s, t in {emitter.name('ranges', ranges)}]"
    variables = ", ".join([*inside.values(), *group.temporaries])
    emitter.steps.append(
        f"for {variables}, in {emitter.assign_once(emitter.name('blocks', None), blocks)}:"
    )
    emitter.steps += [f"    {line}" for line in group.lines]


def has_rows_of(array: Node, full: Shape) -> bool:
    """Whether the array has a row for each row of the group, and not one for all."""
    return len(array.shape) == len(full) and array.shape[0] == full[0]


class GroupLines:
    """The `lines` that compute a group, with `names` for its sources and outputs.

    Values in between are written to `temporaries` of the given shape, which all groups share whose
    temporaries have the same `prefix`: what has just been used is still in the cache.
    """

    def __init__(
        self, emitter: Emitter, one: Instruction, names: dict[Node, str], shape: Shape, prefix: str
    ) -> None:
        self.emitter, self.one, self.names, self.shape = emitter, one, names, shape
        self.prefix = prefix
        self.where = dict(names)
        self.last_use = {s: i for i, n in enumerate(one.nodes) for s in n.inputs}
        self.free: dict[np.dtype[Any], list[str]] = {}
        self.temporaries: list[str] = []
        self.lines: list[str] = []
        copies: list[str] = []
        for i, node in enumerate(one.nodes):
            operands = [self.operand(node, position) for position in range(len(node.sources))]
            target = self.target(node, i)
            if node in names and target != names[node]:
                copies.append(f"copyto({names[node]}, {target})")
                self.last_use[node] = len(one.nodes)
            self.where[node] = target
            self.lines.append(self.operation(node, operands, target))
        self.lines += copies

    def target(self, node: Node, i: int) -> str:
        """The array that operation number `i` writes to: its output, a dead temporary, or a new one."""
        dead = [
            s
            for s in dict.fromkeys(node.inputs)
            if self.last_use[s] == i and self.where[s] in self.temporaries
        ]
        target = self.names[node] if node in self.names and not self.is_read_later(node, i) else None
        for s in dead:
            if target is None and s.dtype == node.dtype:
                target = self.where[s]
            else:
                self.free.setdefault(s.dtype, []).append(self.where[s])
        return target or self.temporary(node)

    def is_read_later(self, node: Node, i: int) -> bool:
        """Whether `node` overwrites an input that a later operation of the group reads."""
        target = self.emitter.plan.in_place_of.get(node)
        return target is not None and self.one.position_of_last_use(target) > i

    def temporary(self, node: Node) -> str:
        """A temporary of the dtype of `node` that is free, or a new one."""
        free = self.free.setdefault(node.dtype, [])
        if free:
            return free.pop()
        dtype = self.emitter.dtype(node.dtype)
        new = f"{self.prefix}{len(self.temporaries)}_{joined(self.shape)}_{dtype}"
        self.temporaries.append(new)
        return self.emitter.assign_once(new, f"empty({self.shape}, {dtype})")

    def operand(self, node: Node, position: int) -> str:
        """A source of an operation: an array; for a Python number a 0-d array of the dtype it takes."""
        source = node.sources[position]
        if isinstance(source, Node):
            return self.where[source]
        return self.emitter.number(source, number_dtype(node, position))

    def operation(self, node: Node, operands: list[str], target: str) -> str:
        """The line that computes `node` into `target`."""
        if node.detail == "astype":
            return f"copyto({target}, {operands[0]}, 'unsafe')"
        if node.detail == "where":
            return f"copyto({target}, np.where({', '.join(operands)}))"
        if node.detail in (np.maximum, np.minimum):  # NumPy wants the output of these by its name
            target = f"out={target}"
        return f"{self.emitter.function(node.detail)}({', '.join([*operands, target])})"
