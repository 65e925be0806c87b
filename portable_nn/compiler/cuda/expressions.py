"""Elementwise operations in CUDA C, each rounded as CuPy's kernel of that name rounds it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from portable_nn.compiler import expressions
from portable_nn.compiler.graph import Node, UntraceableError

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


UNSIGNED = {"int32": "unsigned int", "int64": "unsigned long long"}


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


class CudaSyntax:
    """Numbers in CUDA C, whose functions are overloaded."""

    def cast(self, text: str, dtype: np.dtype[Any]) -> str:
        """A cast of C."""
        return f"({type_of(dtype)}){text}"

    def literal(self, x: float, dtype: np.dtype[Any]) -> str:
        """As `number` writes it."""
        return number(x, dtype)

    def suffix(self, dtype: np.dtype[Any]) -> str:
        """None."""
        return ""


CUDA = CudaSyntax()


def expression(node: Node, name: Callable[[Node], str]) -> str:
    """The value of an elementwise operation; ``name(source)`` is the value of a source."""
    if node.detail is np.add and node.dtype.name in UNSIGNED:
        unsigned = UNSIGNED[node.dtype.name]  # which wraps around, as NumPy's integers do
        each = [name(s) if isinstance(s, Node) else number(s, node.dtype) for s in node.sources]
        return f"({type_of(node.dtype)})({' + '.join(f'({unsigned})({one})' for one in each)})"
    return expressions.expression(node, name, CUDA)
