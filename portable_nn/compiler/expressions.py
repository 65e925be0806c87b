"""Elementwise operations as expressions of C, CUDA C and JavaScript: one table for all of them.

Each is rounded as NumPy or CuPy rounds the operation of that name, given the language's own functions.
What is no function of a language, such as `larger`, is defined where its code begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from portable_nn.compiler.graph import Node, UntraceableError
from portable_nn.compiler.promotion import operand_dtypes

# {f} ends the names of functions of float32, where a language has others for them
FLOATS: dict[Any, str] = {  # for operands that enter as floats
    np.add: "{0} + {1}",
    np.subtract: "{0} - {1}",
    np.multiply: "{0} * {1}",
    np.divide: "{0} / {1}",
    np.negative: "-{0}",
    np.positive: "{0}",
    np.absolute: "fabs{f}({0})",
    np.fabs: "fabs{f}({0})",
    np.square: "{0} * {0}",
    np.sqrt: "sqrt{f}({0})",
    np.reciprocal: "1 / {0}",
    np.power: "pow{f}({0}, {1})",
    np.float_power: "pow{f}({0}, {1})",
    np.exp: "exp{f}({0})",
    np.exp2: "exp2{f}({0})",
    np.expm1: "expm1{f}({0})",
    np.log: "log{f}({0})",
    np.log2: "log2{f}({0})",
    np.log10: "log10{f}({0})",
    np.log1p: "log1p{f}({0})",
    np.logaddexp: "log_add_exp{f}({0}, {1})",
    np.sin: "sin{f}({0})",
    np.cos: "cos{f}({0})",
    np.tan: "tan{f}({0})",
    np.arctan: "atan{f}({0})",
    np.sinh: "sinh{f}({0})",
    np.cosh: "cosh{f}({0})",
    np.tanh: "tanh{f}({0})",
    np.sign: "sign{f}({0})",
    np.floor: "floor{f}({0})",
    np.ceil: "ceil{f}({0})",
    np.maximum: "larger{f}({0}, {1})",
    np.minimum: "smaller{f}({0}, {1})",
    np.greater: "{0} > {1}",
    np.greater_equal: "{0} >= {1}",
    np.less: "{0} < {1}",
    np.less_equal: "{0} <= {1}",
    np.equal: "{0} == {1}",
    np.not_equal: "{0} != {1}",
    np.isnan: "isnan({0})",
    np.isinf: "isinf({0})",
    np.isfinite: "isfinite({0})",
}
BOOLEANS: dict[Any, str] = {
    np.logical_and: "{0} && {1}",
    np.logical_or: "{0} || {1}",
    np.logical_not: "!{0}",
    np.bitwise_and: "{0} && {1}",
    np.bitwise_or: "{0} || {1}",
    np.invert: "!{0}",
    np.equal: "{0} == {1}",
    np.not_equal: "{0} != {1}",
}
INTEGERS: dict[Any, str] = {
    np.greater: "{0} > {1}",
    np.greater_equal: "{0} >= {1}",
    np.less: "{0} < {1}",
    np.less_equal: "{0} <= {1}",
    np.equal: "{0} == {1}",
    np.not_equal: "{0} != {1}",
}
FILL_VALUES: dict[Any, str] = {np.ones_like: "1", np.zeros_like: "0"}  # calls that read no element
REDUCERS = {  # a reduction: its start value, and how it combines two values
    np.add: ("0", "{0} + {1}"),
    np.maximum: ("-INFINITY", "larger{f}({0}, {1})"),
    np.minimum: ("INFINITY", "smaller{f}({0}, {1})"),
    np.logical_and: ("true", "{0} && {1}"),
}


class Syntax(Protocol):
    """How a language writes the numbers in an expression."""

    def cast(self, text: str, dtype: np.dtype[Any]) -> str:
        """The value `text` as a number of this dtype."""

    def literal(self, x: float, dtype: np.dtype[Any]) -> str:
        """A Python number as an exact literal of this dtype."""

    def suffix(self, dtype: np.dtype[Any]) -> str:
        """What ends the names of functions of this dtype."""


def expression(node: Node, name: Callable[[Node], str], syntax: Syntax) -> str:
    """The value of an elementwise operation; ``name(source)`` is the value of a source.

    Raises UntraceableError for an operation that is in no table.
    """
    if node.detail == "astype":
        return syntax.cast(name(node.sources[0]), node.dtype)
    operands, dtypes = [], operand_dtypes(node)
    for source, dtype in zip(node.sources, dtypes, strict=True):
        if not isinstance(source, Node):
            operands.append(syntax.literal(source, dtype))
        else:
            value = name(source)
            operands.append(value if source.dtype == dtype else syntax.cast(value, dtype))
    if node.detail == "where":
        return f"{operands[0]} ? {operands[1]} : {operands[2]}"
    table = {"f": FLOATS, "b": BOOLEANS, "i": INTEGERS, "u": INTEGERS}.get(dtypes[0].kind, {})
    if node.detail not in table:
        raise UntraceableError(f"no code for {node.detail.__name__} of {', '.join(map(str, dtypes))}")
    return table[node.detail].format(*operands, f=syntax.suffix(dtypes[0]))


def combined(reducer: Any, one: str, other: str, f: str = "") -> str:
    """Two values of a reduction, combined by this ufunc; `f` ends the names of functions."""
    return REDUCERS[reducer][1].format(one, other, f=f)
