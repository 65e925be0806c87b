"""Which memory holds the array of each node of a CUDA program, and with which layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from portable_nn.compiler.graph import Node, base
from portable_nn.compiler.layout import Layout, Strides, layout_of
from portable_nn.compiler.plan import Plan

MemoryKey: TypeAlias = tuple[str, object]  # ("buffer" or "input", its number), ("constant", its node)


@dataclass
class MemoryMap:
    """The memory and the layout of each node's array.

    The inputs `per_step` are arrays whose first axis is the steps; `strides` as for `layout_of`.
    """

    plan: Plan
    per_step: frozenset[Node]
    strides: Mapping[Node, Strides]
    known: dict[Node, Layout] = field(default_factory=dict)

    def memory(self, node: Node) -> MemoryKey:
        """The memory that holds the array."""
        node = base(node)
        node = self.plan.in_place_of.get(node, node)
        if node.kind in ("input", "constant"):
            return (node.kind, node.detail if node.kind == "input" else node)
        return ("buffer", self.plan.buffer_of[node])

    def layout(self, node: Node) -> Layout:
        """The layout of the array in that memory."""
        if node not in self.known:
            self.known[node] = layout_of(node, self.strides)
        return self.known[node]

    def is_per_step(self, node: Node) -> bool:
        """Whether the array is (a view of) an input whose first axis is the steps."""
        return base(node) in self.per_step
