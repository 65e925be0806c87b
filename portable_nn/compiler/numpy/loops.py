"""The source of a scalar loop for a group of elementwise operations.

A loop does, element by element, what NumPy's functions do, in the same order and rounded alike: sums,
products, quotients, roots and comparisons have one right answer. What has not (exp, log, tanh) is left
to NumPy. So a loop gives NumPy's result to the bit; NaN and infinity pass through it as they do there.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from portable_nn.compiler.layout import Shape, layout_of, merged_axes
from portable_nn.compiler.numpy.page import number_dtype
from portable_nn.compiler.plan import Instruction, Plan, base
from portable_nn.compiler.trace import Node

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
    np.maximum: "{0} if {0} > {1} or {0} != {0} else {1}",  # of 0.0 and -0.0 the second, as NumPy
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
INDICES = ("i", "j", "k")  # of the loops, the outermost first: more of them are not nested
SMALL = 4096  # elements: a base of so few may be an argument even if that means to copy it
Argument = tuple[Node, Shape]  # an array, and the shape in which a loop is given it


def can_be_in_a_loop(node: Node) -> bool:
    """Whether a loop can do this operation as NumPy does it."""
    if node.kind != "elementwise" or node.detail not in EXPRESSIONS:
        return False
    if not all(a.dtype.name in TYPES for a in (node, *node.inputs)):
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
    return all(s.dtype.kind == wanted for s in node.inputs)  # for a sum of bools has its own meaning


def loop_for(one: Instruction, plan: Plan) -> tuple[str, list[Argument]] | None:
    """The source of the loop for a group and the arrays it takes; None where none would be better."""
    if len(one.nodes) < 2 or not all(can_be_in_a_loop(n) for n in one.nodes):
        return None
    full, shapes = merged_axes(
        one.nodes[0].shape, {a: layout_of(a) for a in (*one.sources, *one.outputs)}
    )
    if len(full) > len(INDICES):
        return None
    arguments = Arguments(plan)
    reads: list[list[str]] = [[] for _ in range(len(full) + 1)]  # by how many loops they are inside
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
    # the names of the operations differ from net to net: number them, for equal loops to be one
    numbers = {variable(n): f"v{k}" for k, n in enumerate([*one.sources, *one.nodes])}
    text = re.sub(r"\bn\d+\b", lambda m: numbers[m[0]], text)
    return f"def loop({', '.join(arguments.names.values())}):\n{text}", arguments.given


class Arguments:
    """The arguments of a loop: each costs time at every call, so arrays share them where they can."""

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
    """What one element of the array is called in a loop."""
    return f"n{node.number}"


def read(source: Node, shape: Shape, full: Shape, arguments: Arguments) -> tuple[int, str]:
    """How many loops the element of a source depends on, and the expression that reads it.

    Of several views of one small array, such as the hyperparameters of a step, each is an element (or a
    row) of that array.
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
    """A line for each operation of the group."""
    lines = []
    for node in one.nodes:
        operands = [
            variable(s) if isinstance(s, Node) else f"{TYPES[number_dtype(node, at).name]}({s!r})"
            for at, s in enumerate(node.sources)
        ]
        expression = EXPRESSIONS[node.detail].format(*operands, t=TYPES[node.dtype.name])
        lines.append(f"{variable(node)} = {expression}")
    return lines
