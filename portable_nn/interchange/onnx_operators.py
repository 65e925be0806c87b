"""Nodes of ONNX before they are protocol buffers, and the operators that carry out NumPy's operations.

Neither log1p nor expm1 is an operator; they are composed so that no digits are lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from portable_nn.compiler.signatures import HostArray

TENSOR_TYPES = {"float32": 1, "float64": 11, "int32": 6, "int64": 7, "bool": 9}  # of the specification
STRING = 8
UFUNCS: dict[Any, str] = {
    np.add: "Add",
    np.subtract: "Sub",
    np.multiply: "Mul",
    np.divide: "Div",
    np.power: "Pow",
    np.maximum: "Max",
    np.minimum: "Min",
    np.negative: "Neg",
    np.positive: "Identity",
    np.absolute: "Abs",
    np.fabs: "Abs",
    np.sqrt: "Sqrt",
    np.reciprocal: "Reciprocal",
    np.exp: "Exp",
    np.log: "Log",
    np.tanh: "Tanh",
    np.sin: "Sin",
    np.cos: "Cos",
    np.sign: "Sign",
    np.floor: "Floor",
    np.ceil: "Ceil",
    np.greater: "Greater",
    np.greater_equal: "GreaterOrEqual",
    np.less: "Less",
    np.less_equal: "LessOrEqual",
    np.equal: "Equal",
    np.logical_and: "And",
    np.logical_or: "Or",
    np.logical_not: "Not",
    np.bitwise_and: "And",
    np.bitwise_or: "Or",
    np.invert: "Not",
    np.isnan: "IsNaN",
    "where": "Where",
}
REDUCTIONS: dict[Any, str] = {np.add: "ReduceSum", np.maximum: "ReduceMax", np.minimum: "ReduceMin"}


@dataclass(frozen=True)
class Operation:
    """One node: an operator, the names of its inputs and of its output, its attributes."""

    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any]


@dataclass
class Nodes:
    """Nodes in execution order, and constants by name; ``unique(name)`` gives a name not used yet."""

    unique: Callable[[str], str]
    operations: list[Operation] = field(default_factory=list)
    constants: dict[str, HostArray] = field(default_factory=dict)
    known: dict[Any, str] = field(default_factory=dict)

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node; the name of its output."""
        output = self.unique(name or operator.lower())
        self.operations.append(Operation(operator, inputs, output, attributes))
        return output

    def constant(self, array: HostArray, name: str) -> str:
        """The name of a constant, which is added unless an equal one of that name is there."""
        content = tuple(array) if array.dtype == object else array.tobytes()
        key = name, array.dtype.str, array.shape, content
        if key not in self.known:
            self.known[key] = self.unique(name)
            self.constants[self.known[key]] = array
        return self.known[key]

    def number(self, x: float, dtype: np.dtype[Any]) -> str:
        """The name of a constant of no axis."""
        with np.errstate(over="ignore"):  # it becomes infinite
            return self.constant(np.asarray(x).astype(dtype), "number")

    def renamed(self, old: str, new: str) -> None:
        """Give another name to the output of a node."""
        for i, one in enumerate(self.operations):
            inputs = tuple(new if name == old else name for name in one.inputs)
            output = new if one.output == old else one.output
            self.operations[i] = Operation(one.operator, inputs, output, one.attributes)


@dataclass
class SharedNodes(Nodes):
    """Nodes of several networks: what two of them compute of the same is computed once."""

    computed: dict[Any, str] = field(default_factory=dict)

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node, unless an equal one is there; the name of its output."""
        key = operator, inputs, repr(sorted(attributes.items()))
        if key not in self.computed:
            self.computed[key] = super().add(operator, *inputs, name=name, **attributes)
        return self.computed[key]


def unique_names(taken: Iterable[str]) -> Callable[[str], str]:
    """What gives a name not used yet: the one that is asked for, or that with a number."""
    used, counts = set(taken), Counter[str]()

    def unique(name: str) -> str:
        while True:
            counts[name] += 1
            found = name if counts[name] == 1 else f"{name}_{counts[name]}"
            if found not in used:
                used.add(found)
                return found

    return unique


def square(nodes: Nodes, dtype: np.dtype[Any], x: str) -> str:
    """x^2."""
    return nodes.add("Mul", x, x)


def expm1(nodes: Nodes, dtype: np.dtype[Any], x: str) -> str:
    """e^x - 1 = tanh(x/2) (e^x + 1): no digits are lost where x is small."""
    half = nodes.add("Tanh", nodes.add("Mul", x, nodes.number(0.5, dtype)))
    above = nodes.add("Add", nodes.add("Exp", x), nodes.number(1.0, dtype))
    return nodes.add("Mul", half, above)


def log1p(nodes: Nodes, dtype: np.dtype[Any], x: str) -> str:
    """log(1 + x) = log(u) x/d with u = 1 + x and d = u - 1, as they are rounded; x where u is 1.

    Source: Goldberg, "What every computer scientist should know about floating-point arithmetic", 1991,
    theorem 4. Where d is x, which infinity is too, it is log(u).
    """
    add, zero, one = nodes.add, nodes.number(0.0, dtype), nodes.number(1.0, dtype)
    u = add("Add", x, one)
    d, log = add("Sub", u, one), add("Log", u)
    vanishes = add("Equal", d, zero)
    ratio = add("Div", x, add("Where", vanishes, one, d))
    corrected = add("Where", add("Equal", d, x), log, add("Mul", log, ratio))
    return add("Where", vanishes, x, corrected)


def log_add_exp(nodes: Nodes, dtype: np.dtype[Any], x: str, y: str) -> str:
    """log(e^x + e^y) = max(x, y) + log1p(e^-|x - y|); where both are the same infinity, that."""
    add = nodes.add
    apart = add("Neg", add("Abs", add("Sub", x, y)))
    more = log1p(nodes, dtype, add("Exp", apart))
    both = nodes.number(float(np.log(2.0)), dtype)
    return add("Add", add("Max", x, y), add("Where", add("Equal", x, y), both, more))


COMPOSED: dict[Any, Callable[..., str]] = {
    np.square: square,
    np.expm1: expm1,
    np.log1p: log1p,
    np.logaddexp: log_add_exp,
}
