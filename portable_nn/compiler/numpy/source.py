"""From a plan to the Python function that carries it out: calls of NumPy, results into memory set aside.

The function ``bind`` takes the inputs and sets the memory and all views of it up; what it returns,
``run(start, stop)``, makes the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from portable_nn.compiler.layout import layout_of
from portable_nn.compiler.numpy.blocks import write_group
from portable_nn.compiler.numpy.loop_cache import Loop
from portable_nn.compiler.numpy.loops import Argument
from portable_nn.compiler.numpy.page import Page
from portable_nn.compiler.plan import Instruction, Plan, base
from portable_nn.compiler.trace import Graph, Node, call

Run = Callable[[int, int], None]
Bind = Callable[..., tuple[Run, tuple[Any, ...]]]
Loops = Mapping[Instruction, tuple[Loop, list[Argument]]]


class Products(NamedTuple):
    """Matrix products by another library: ``multiply(A, B, out=C)`` of what `handle` makes of arrays."""

    handle: Callable[[Any], Any]
    multiply: Callable[..., Any]


def write(
    graph: Graph, plan: Plan, each: Sequence[int], loops: Loops, products: Products | None = None
) -> Bind:
    """The function ``bind(*inputs)``, which gives ``run(start, stop)`` and the outputs.

    The inputs whose numbers are in `each` come as one array for all steps, its first axis their number.
    Groups that have one of `loops` go through it.
    """
    writer = Writer(plan, products)
    for node in graph.inputs:
        if node.detail in each:
            writer.input_of_each(node, is_index(node, graph))
    for one in plan.instructions:
        if one in loops:
            writer.loop(*loops[one])
        elif one.is_group:
            write_group(writer, one)
        else:
            writer.instruction(one.nodes[0])
    last = []
    for out, into in plan.left_over.items():
        target, result = writer.array(graph.inputs[into]), writer.array(graph.outputs[out])
        if base(graph.outputs[out]).kind == "input":  # another of these may write over it
            writer.steps.append(f"kept{out} = {result}.copy()")
            result = f"kept{out}"
        last.append(f"copyto({target}, {result})")
    writer.steps += last
    given = (f"{'e' if n.detail in each else 'i'}{n.detail}" for n in graph.inputs)
    results = "".join(f"{writer.array(node)}, " for node in graph.outputs)
    lines = [
        f"def bind({', '.join(given)}):",
        *(f"    {line}" for line in (*writer.setup, *writer.ready)),
        "    def run(start, stop):",
        "        for step in range(start, stop):",
        *(f"            {line}" for line in writer.steps or ["pass"]),
        f"    return run, ({results})",
    ]
    exec(compile("\n".join(lines), "<program>", "exec"), writer.names)  # all of it is written above
    bind: Bind = writer.names["bind"]
    return bind


def is_index(node: Node, graph: Graph) -> bool:
    """Whether `node` does nothing but say which rows are taken."""
    users = [n for n in graph.nodes if node in n.inputs]
    return all(n.kind == "take" and n.sources[1] is node for n in users)


class Writer(Page):
    """Writes the lines of everything but the elementwise operations by NumPy."""

    def __init__(self, plan: Plan, products: Products | None) -> None:
        super().__init__(plan)
        self.products = products

    def input_of_each(self, node: Node, is_index: bool) -> None:
        """Where an input of this step comes from: a copy lies still, for views to be made of once."""
        given, name = f"e{node.detail}[step]", self.array(node)
        if is_index:
            self.steps.append(f"{name} = {given}")
        else:
            self.once(name, f"empty({node.shape}, {self.dtype(node.dtype)})")
            self.steps.append(f"copyto({name}, {given})")

    def loop(self, loop: Loop, given: list[Argument]) -> None:
        """A group as one compiled loop."""
        arrays = ", ".join(self.seen_as(node, shape) for node, shape in given)
        self.ready.append(f"{self.name('ready', loop.ready)}({arrays})")
        self.steps.append(f"{self.name('loop', loop.call)}({arrays})")

    def instruction(self, node: Node) -> None:
        """An operation that is none of a group."""
        given, out = [self.array(source) for source in node.sources], self.array(node)
        if node.kind == "take":
            self.names["taken"] = taken
            line = f"taken({given[0]}, {given[1]}, {out})"
        elif node.kind == "reduce":
            ufunc, axis, keepdims = node.detail
            line = f"{self.name('reduce', ufunc.reduce)}({given[0]}, {axis}, None, {out}, {keepdims})"
        elif node.kind == "call":
            self.names["call"] = call
            line = f"copyto({out}, call({self.name('call', node.detail)}, ({', '.join(given)},)))"
        else:
            line = self.product(node, given, out)
        self.steps.append(line)

    def product(self, node: Node, given: list[str], out: str) -> str:
        """A matrix product; numpy.dot, where it does the same, takes half the time to be called."""
        A, B = node.sources
        is_plain = len(A.shape) == len(B.shape) == 2 and min(*A.shape, *B.shape) > 1
        is_plain = is_plain and all(layout_of(X).is_row_or_column_major for X in (A, B))
        if not is_plain or A.dtype != B.dtype:
            return f"{self.name('product', np.matmul)}({given[0]}, {given[1]}, {out})"
        if self.products is None:
            return f"{self.name('product', np.dot)}({given[0]}, {given[1]}, {out})"
        handle = self.name("handle", self.products.handle)
        left, right, result = (self.once(f"h_{x}", f"{handle}({x})") for x in (*given, out))
        return f"{self.name('product', self.products.multiply)}({left}, {right}, out={result})"


def taken(x: Any, rows: Any, out: Any) -> None:
    """Rows of x, into `out`."""
    if x.flags.c_contiguous:
        x.take(rows, 0, out, "clip")  # "raise" would make a copy first; the rows have been checked
    else:
        out[...] = x[rows]  # `take` would copy all of x first
