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

from portable_nn.compiler.numpy.page import in_one_row, number_dtype
from portable_nn.compiler.plan import Instruction, Plan
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
Seen = tuple[Node, tuple[int, ...]]  # an array, and the shape in which a loop sees it


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


def loop_for(one: Instruction, plan: Plan) -> tuple[str, list[Seen]] | None:
    """The source of the loop for a group and the arrays it takes; None where none would be better."""
    if len(one.nodes) < 2 or not all(can_be_in_a_loop(n) for n in one.nodes):
        return None
    seen = shapes(one)
    if seen is None:
        return None
    full, of = seen
    arguments: dict[Any, Seen] = {}  # two arrays in one place are one argument
    for node in (*one.sources, *one.outputs):
        arguments.setdefault(memory(node, plan), (node, of[node]))
    names = {place: f"p{k}" for k, place in enumerate(arguments)}
    index = "[i, j]" if len(full) == 2 else "[i]"
    once, per_row, body = reads(one.sources, {n: names[memory(n, plan)] for n in one.sources}, full, of)
    body += computations(one)
    body += [f"{names[memory(n, plan)]}{index} = {variable(n)}" for n in one.outputs]
    like = names[memory(one.outputs[0], plan)]
    if len(full) == 2:
        body = [*per_row, f"for j in range({like}.shape[1]):", *(f"    {line}" for line in body)]
    lines = [*once, f"for i in range({like}.shape[0]):", *(f"    {line}" for line in body)]
    text = "".join(f"    {line}\n" for line in lines)
    # the names of the operations differ from net to net: number them, for equal loops to be one
    numbers = {variable(n): f"v{k}" for k, n in enumerate([*one.sources, *one.nodes])}
    text = re.sub(r"\bn\d+\b", lambda m: numbers[m[0]], text)
    return f"def loop({', '.join(names.values())}):\n{text}", list(arguments.values())


def variable(node: Node) -> str:
    """What one element of the array is called in a loop."""
    return f"n{node.number}"


def reads(
    sources: list[Node], names: dict[Node, str], full: tuple[int, ...], of: dict[Node, tuple[int, ...]]
) -> tuple[list[str], list[str], list[str]]:
    """The lines that read an element of each source: once, once a row, and for every element."""
    once, per_row, each = [], [], []
    for source in sources:
        shape, start = of[source], f"{variable(source)} = {names[source]}"
        if shape == full:
            each.append(start + ("[i, j]" if len(full) == 2 else "[i]"))
        elif math.prod(shape) == 1:
            once.append(f"{start}[{', '.join('0' * len(shape)) or '()'}]")
        elif shape == (full[0], 1):
            per_row.append(f"{start}[i, 0]")
        else:
            each.append(f"{start}[{'0, ' * (len(shape) - 1)}j]")
    return once, per_row, each


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


def memory(node: Node, plan: Plan) -> Any:
    """What tells where the array lies: two with the same are one argument of a loop."""
    if node in plan.in_place_of:
        return plan.in_place_of[node]
    return plan.buffer_of.get(node, node)


def shapes(one: Instruction) -> tuple[tuple[int, ...], dict[Node, tuple[int, ...]]] | None:
    """The shape of the loop, (n,) or (rows, columns), and the one in which it sees each array."""
    arrays = [*one.sources, *one.outputs]
    whole = one.nodes[0].shape
    size = math.prod(whole)
    if all(a.shape == () or (a.shape == whole and in_one_row(a)) for a in arrays):
        return (size,), {a: (size,) if a.shape == whole else () for a in arrays}
    if len(whole) == 2:
        return whole, {a: a.shape for a in arrays}
    rows = math.prod(whole[:-1])
    of: dict[Node, tuple[int, ...]] = {}
    for a in arrays:
        if a.shape == ():
            of[a] = ()
        elif a.shape[:-1] == whole[:-1] and in_one_row(a):
            of[a] = (rows, a.shape[-1])
        else:
            return None
    return (rows, whole[-1]), of
