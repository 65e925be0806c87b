"""The source of a scalar loop, for numba to compile, of a group of elementwise operations.

A loop gives NumPy's results to the bit, NaN and infinity included. It applies the same operations to
each element in the same order, and only those whose result IEEE 754 prescribes: sums, products,
quotients, roots and comparisons. Others (exp, log, tanh) are left to NumPy.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from portable_nn.compiler.graph import Node, base
from portable_nn.compiler.instructions import Instruction
from portable_nn.compiler.layout import Shape, layout_of, merged_axes
from portable_nn.compiler.plan import Plan
from portable_nn.compiler.promotion import number_dtype

EXPRESSIONS: dict[Any, str] = {
    np.add: "{0} + {1}",
    np.subtract: "{0} - {1}",
    np.multiply: "{0} * {1}",
    np.divide: "{0} / {1}",
    np.negative: "-{0}",
    np.positive: "{0}",
    np.absolute: "abs({0})",
    np.square: "{0} * {0}",
    np.sqrt: "sqrt({0})",
    np.reciprocal: "{t}(1) / {0}",
    np.maximum: "{0} if {0} > {1} or {0} != {0} else {1}",  # max(0.0, -0.0) is -0.0, as in NumPy
    np.minimum: "{0} if {0} < {1} or {0} != {0} else {1}",
    np.greater: "{0} > {1}",
    np.greater_equal: "{0} >= {1}",
    np.less: "{0} < {1}",
    np.less_equal: "{0} <= {1}",
    np.equal: "{0} == {1}",
    np.not_equal: "{0} != {1}",
    np.logical_and: "{0} and {1}",
    np.logical_or: "{0} or {1}",
    np.logical_not: "not {0}",
    "where": "{1} if {0} else {2}",
    "astype": "{t}({0})",
}
TYPES = {"float32": "float32", "float64": "float64", "bool": "bool_"}
DTYPES = tuple(np.dtype(name) for name in ("float32", "float64", "bool"))
INDICES = ("i", "j", "k")  # of the nested loops, the outermost first
SMALL = 4096  # elements: a base of so few may become an argument, even if it has to be copied for that
Argument = tuple[Node, Shape]  # an array, and the shape in which the loop takes it


def can_be_in_a_loop(node: Node) -> bool:
    """Whether a loop gives the bits that NumPy gives for this operation."""
    if node.kind != "elementwise" or node.detail not in EXPRESSIONS:
        return False
    if not all(a.dtype in DTYPES for a in (node, *node.inputs)):
        return False
    numbers = [s for s in node.sources if not isinstance(s, Node)]
    if any(isinstance(x, bool) or not math.isfinite(x) for x in numbers):
        return False
    if node.detail == "astype":
        return True
    if node.detail == "where":
        condition, *both = node.sources
        return isinstance(condition, Node) and all(
            s.dtype == node.dtype for s in both if isinstance(s, Node)
        )
    wanted = "b" if node.detail in (np.logical_and, np.logical_or, np.logical_not) else "f"
    return all(s.dtype.kind == wanted for s in node.inputs)  # NumPy adds bools by its own rule


def loop_for(one: Instruction, plan: Plan) -> tuple[str, list[Argument]] | None:
    """The source of the loop for a group and its arguments; None if a loop would not help."""
    if len(one.nodes) < 2 or not all(can_be_in_a_loop(n) for n in one.nodes):
        return None
    layouts = {a: layout_of(a) for a in (*one.sources, *one.outputs)}
    if any(layout.repeats for layout in layouts.values()):
        return None
    full, shapes = merged_axes(one.nodes[0].shape, layouts)
    if len(full) > len(INDICES):
        return None
    arguments = Arguments(plan)
    reads: list[list[str]] = [[] for _ in range(len(full) + 1)]  # by the number of loops around them
    for source in one.sources:
        depth, element = read(source, shapes[source], full, arguments)
        reads[depth].append(f"{variable(source)} = {element}")
    index = ", ".join(INDICES[: len(full)])
    outputs = {node: arguments.name(node, full) for node in one.outputs}
    body = computations(one) + [f"{name}[{index}] = {variable(n)}" for n, name in outputs.items()]
    like = outputs[one.outputs[0]]
    for axis in reversed(range(len(full))):
        body = [*reads[axis + 1], *body]
        head = f"for {INDICES[axis]} in range({like}.shape[{axis}]):"
        body = [head, *(f"    {line}" for line in body)]
    text = "".join(f"    {line}\n" for line in (*reads[0], *body))
    # the numbers of nodes differ between networks: renumber them, so that equal loops are compiled once
    numbers = {variable(n): f"v{k}" for k, n in enumerate([*one.sources, *one.nodes])}
    text = re.sub(r"\bn\d+\b", lambda m: numbers[m[0]], text)
    return f"def loop({', '.join(arguments.names.values())}):\n{text}", arguments.given


class Arguments:
    """The arguments of a loop. Each costs 150 ns a call, so arrays share them where they can."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.names: dict[Any, str] = {}
        self.given: list[Argument] = []

    def name(self, node: Node, shape: Shape) -> str:
        """The argument that is the array of `node` in this shape; two arrays in one buffer share it."""
        node = self.plan.in_place_of.get(node, node)
        key = (self.plan.buffer_of.get(node, node), shape)
        if key not in self.names:
            self.names[key] = f"p{len(self.names)}"
            self.given.append((node, shape))
        return self.names[key]


def variable(node: Node) -> str:
    """The name of one element of the array in a loop."""
    return f"n{node.number}"


def read(source: Node, shape: Shape, full: Shape, arguments: Arguments) -> tuple[int, str]:
    """The number of loops that the read must be inside, and the expression that reads an element.

    Views of one small array, such as the hyperparameters of a step, become elements of one argument.
    """
    index = ["0" if n != of else i for n, of, i in zip(shape, full, INDICES, strict=False)]
    depth = max((d + 1 for d, i in enumerate(index) if i != "0"), default=0)
    whole = base(source)
    if depth < len(full) and source is not whole and math.prod(whole.shape) <= SMALL:
        layout, size = layout_of(source), max(math.prod(shape), 1)
        if layout.is_contiguous and layout.offset % size == math.prod(whole.shape) % size == 0:
            name = arguments.name(whole, (math.prod(whole.shape) // size, *shape))
            return depth, f"{name}[{', '.join([str(layout.offset // size), *index])}]"
    return depth, f"{arguments.name(source, shape)}[{', '.join(index)}]"


def computations(one: Instruction) -> list[str]:
    """The lines that compute one element: one for each operation of the group."""
    lines = []
    for node in one.nodes:
        operands = [
            variable(s) if isinstance(s, Node) else f"{TYPES[number_dtype(node, position).name]}({s!r})"
            for position, s in enumerate(node.sources)
        ]
        expression = EXPRESSIONS[node.detail].format(*operands, t=TYPES[node.dtype.name])
        lines.append(f"{variable(node)} = {expression}")
    return lines
