"""The statements that compute one row, from its graph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_nn.compiler.graph import Node, base, is_computed
from portable_nn.compiler.languages import Language, Writer, is_fusable
from portable_nn.compiler.layout import layout_of
from portable_nn.compiler.plan import Plan, make_plan
from portable_nn.compiler.rows import RowGraph
from portable_nn.compiler.signatures import HostArray


@dataclass(frozen=True)
class Statements:
    """What computes ``out`` from ``x``: the tables it reads, its buffers, the lines, what they call."""

    tables: list[str]
    buffers: list[str]
    body: list[str]
    helpers: list[str]


def statements_of(rows: RowGraph, names: Sequence[str], language: Language) -> Statements:
    """The statements in this language; `names` are those of the arrays that all rows share.

    Raises UntraceableError for an operation that the language has no code for.
    """
    plan = make_plan(rows.graph, is_fusable, {})
    memory = RowMemory(rows, plan, names)
    writer = Writer(memory, language)
    body = [line for one in plan.instructions for line in writer.instruction(one)]
    if not memory.is_output_in_order():
        body += writer.copied(rows.output, "out")
    return Statements(
        [line for name, array in memory.tables.items() for line in language.table(name, array)],
        [language.buffer(name, dtype, str(n)) for (name, dtype), n in memory.buffers.items()],
        body,
        language.helpers(body),
    )


class RowMemory:
    """The row ``x``, the result ``out``, and the `tables` and `buffers` met so far, by their names."""

    def __init__(self, rows: RowGraph, plan: Plan, names: Sequence[str]) -> None:
        self.rows, self.plan, self.names = rows, plan, names
        self.tables: dict[str, HostArray] = {}
        self.buffers: dict[tuple[str, np.dtype[Any]], int] = {}

    def size(self, n: int) -> str:
        """See `Memory`: sizes are known."""
        return str(n)

    def array(self, node: Node) -> str:
        """See `Memory`."""
        root = base(node)
        if root is self.rows.row:
            return "x"
        value = self.rows.value(root)
        if value is not None:
            name = self.names[root.detail - 1] if root.kind == "input" else f"constant{root.number}"
            self.tables[name] = value
            return name
        if root is base(self.rows.output) and self.is_output_in_order():
            return "out"
        name = f"buffer{self.plan.buffer_of[root]}"
        if root.dtype != self.rows.row.dtype:  # memory has one type
            name += f"_{root.dtype}"
        size = math.prod(root.shape)
        self.buffers[name, root.dtype] = max(size, self.buffers.get((name, root.dtype), 0))
        return name

    def is_output_in_order(self) -> bool:
        """Whether the result can be computed where it is wanted."""
        output = self.rows.output
        root = base(output)
        same = (root.dtype, math.prod(root.shape)) == (self.rows.row.dtype, math.prod(output.shape))
        return is_computed(root) and same and layout_of(output).is_contiguous
