"""The dtypes in which operands enter an elementwise operation, by NumPy's rules."""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_nn.compiler.graph import Node


def operand_dtypes(node: Node) -> list[np.dtype[Any]]:
    """The dtypes in which the sources, arrays and Python numbers, enter an elementwise operation."""
    if node.detail == "where":
        return [np.dtype(bool), node.dtype, node.dtype]
    kinds = [
        s.dtype if isinstance(s, Node) else np.dtype(bool) if isinstance(s, bool) else type(s)
        for s in node.sources
    ]
    return list(node.detail.resolve_dtypes((*kinds, None))[:-1])


def number_dtype(node: Node, position: int) -> np.dtype[Any]:
    """The dtype in which the Python number that is source number `position` enters the operation."""
    return operand_dtypes(node)[position]
