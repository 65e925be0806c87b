"""Elementwise operations in CUDA C, each rounded as CuPy's kernel of that name rounds it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from portable_nn.compiler.graph import Node, UntraceableError
from portable_nn.compiler.promotion import operand_dtypes

TYPES = {
    "float32": "float",
    "float64": "double",
    "bool": "bool",
    "int8": "signed char",
    "uint8": "unsigned char",
    "int16": "short",
    "uint16": "unsigned short",
    "int32": "int",
    "uint32": "unsigned int",
    "int64": "long long",
    "uint64": "unsigned long long",
}
FLOATS: dict[Any, str] = {  # for operands that enter as floats
    np.add: "{0} + {1}",
    np.subtract: "{0} - {1}",
    np.multiply: "{0} * {1}",
    np.divide: "{0} / {1}",
    np.negative: "-{0}",
    np.positive: "{0}",
    np.absolute: "fabs({0})",
    np.fabs: "fabs({0})",
    np.square: "{0} * {0}",
    np.sqrt: "sqrt({0})",
    np.reciprocal: "1 / {0}",
    np.power: "pow({0}, {1})",
    np.float_power: "pow({0}, {1})",
    np.exp: "exp({0})",
    np.exp2: "exp2({0})",
    np.expm1: "expm1({0})",
    np.log: "log({0})",
    np.log2: "log2({0})",
    np.log10: "log10({0})",
    np.log1p: "log1p({0})",
    np.logaddexp: "log_add_exp({0}, {1})",
    np.sin: "sin({0})",
    np.cos: "cos({0})",
    np.tan: "tan({0})",
    np.arctan: "atan({0})",
    np.sinh: "sinh({0})",
    np.cosh: "cosh({0})",
    np.tanh: "tanh({0})",
    np.sign: "sign({0})",
    np.floor: "floor({0})",
    np.ceil: "ceil({0})",
    np.maximum: "larger({0}, {1})",
    np.minimum: "smaller({0}, {1})",
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
    np.equal: "{0} == {1}",
    np.not_equal: "{0} != {1}",
}
FILL_VALUES: dict[Any, str] = {np.ones_like: "1", np.zeros_like: "0"}  # calls that read no element
REDUCERS = {  # a reduction: its start value, and how it combines two values
    np.add: ("0", "{0} + {1}"),
    np.maximum: ("-INFINITY", "larger({0}, {1})"),
    np.minimum: ("INFINITY", "smaller({0}, {1})"),
    np.logical_and: ("true", "{0} && {1}"),
}


def unsupported(what: str) -> UntraceableError:
    """The error to raise for what kernels do not support; the step then runs eagerly."""
    return UntraceableError(f"no kernel for {what}")


def type_of(dtype: np.dtype[Any]) -> str:
    """The type of C; raises UntraceableError for a dtype that kernels do not support."""
    if dtype.name not in TYPES:
        raise unsupported(f"the dtype {dtype}")
    return TYPES[dtype.name]


def number(x: float, dtype: np.dtype[Any]) -> str:
    """A Python number as an exact literal of this dtype."""
    if dtype.kind in "biu":
        return repr(int(x))
    with np.errstate(over="ignore"):  # it becomes infinite
        x = float(dtype.type(x))
    if not math.isfinite(x):
        word = "NAN" if math.isnan(x) else "-INFINITY" if x < 0 else "INFINITY"
        return f"({type_of(dtype)}){word}"
    return f"({type_of(dtype)}){x.hex()}"


def expression(node: Node, name: Callable[[Node], str]) -> str:
    """The value of an elementwise operation; ``name(source)`` is the value of a source."""
    if node.detail == "astype":
        return f"({type_of(node.dtype)}){name(node.sources[0])}"
    operands, dtypes = [], operand_dtypes(node)
    for source, dtype in zip(node.sources, dtypes, strict=True):
        if not isinstance(source, Node):
            operands.append(number(source, dtype))
        else:
            cast = "" if source.dtype == dtype else f"({type_of(dtype)})"
            operands.append(f"{cast}{name(source)}")
    if node.detail == "where":
        return f"{operands[0]} ? {operands[1]} : {operands[2]}"
    table = {"f": FLOATS, "b": BOOLEANS, "i": INTEGERS, "u": INTEGERS}.get(dtypes[0].kind, {})
    if node.detail not in table:
        raise unsupported(f"{node.detail.__name__} of {', '.join(map(str, dtypes))}")
    return table[node.detail].format(*operands)
