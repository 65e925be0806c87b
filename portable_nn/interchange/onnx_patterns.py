"""Groups of operations that are one operator of ONNX, recognized by the traces of our activations."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_nn import backends
from portable_nn.compiler.graph import Node
from portable_nn.compiler.stand_ins import stand_in
from portable_nn.compiler.trace import trace
from portable_nn.equations import ACTIVATIONS, Activation, leaky_relu

SLOPE = 0.4321  # stands for any slope in [0, 1]


@dataclass(frozen=True)
class Operator:
    """An operator that computes an activation.

    `since` is the opset that introduced it. `is_for_floats`: onnxruntime has a right kernel for
    float32 alone.
    """

    name: str
    g: Activation
    attributes: Mapping[str, Any]
    since: int = 1
    is_for_floats: bool = False
    slope: str = ""  # the attribute that is the slope


@dataclass(frozen=True)
class Pattern:
    """What an operator computes: the graph from the `hole`, where its argument is, to the `result`."""

    operator: Operator
    hole: Node
    result: Node
    size: int


OPERATORS = (
    Operator("Relu", ACTIVATIONS["relu"], {}),
    Operator("LeakyRelu", leaky_relu(SLOPE), {}, is_for_floats=True, slope="alpha"),
    Operator("Sigmoid", ACTIVATIONS["sigmoid"], {}),
    Operator("Softmax", ACTIVATIONS["softmax"], {"axis": 1}, since=13),
    Operator("Elu", ACTIVATIONS["elu"], {}, is_for_floats=True),
    Operator("Selu", ACTIVATIONS["selu"], {}, is_for_floats=True),
    Operator("Softplus", ACTIVATIONS["softplus"], {}, is_for_floats=True),
    Operator("HardSwish", ACTIVATIONS["hard_swish"], {}, since=14, is_for_floats=True),
    Operator("Mish", ACTIVATIONS["mish"], {}, since=18, is_for_floats=True),
    # its kernel for float64 is 3e-9 off
    Operator("Gelu", ACTIVATIONS["gelu"], {"approximate": "tanh"}, since=20, is_for_floats=True),
)  # Tanh and Exp are operations of their own; silu is Z times Sigmoid


@functools.lru_cache(maxsize=16)
def patterns(dtype: np.dtype[Any], opset: int) -> tuple[Pattern, ...]:
    """The patterns of the operators that there are for this dtype, the largest first."""
    xp = backends.get("numpy").xp
    found = []
    for operator in OPERATORS:
        if opset < operator.since or (operator.is_for_floats and dtype != np.float32):
            continue

        def column(Z: Any, g: Any = operator.g.g) -> list[Any]:
            return [g(xp, Z)]

        graph = trace(column, [stand_in((3, 1), dtype)])
        found.append(Pattern(operator, graph.inputs[0], graph.outputs[0], len(graph.nodes)))
    return tuple(sorted(found, key=lambda one: -one.size))


def match(pattern: Pattern, node: Node) -> tuple[Node, dict[str, Any]] | None:
    """The argument and the attributes with which the operator gives `node`; None if it does not."""
    found: dict[str, Any] = dict(pattern.operator.attributes)
    argument: list[Node] = []

    def same(mine: Any, theirs: Any) -> bool:
        if mine is pattern.hole:
            argument.append(theirs)
            return isinstance(theirs, Node) and argument[0] is theirs
        if not isinstance(mine, Node):
            if mine == SLOPE and isinstance(theirs, float) and 0 <= theirs <= 1:
                found[pattern.operator.slope] = theirs
                return True
            return type(mine) is type(theirs) and repr(mine) == repr(theirs)
        return (
            isinstance(theirs, Node)
            and (mine.kind, mine.detail, mine.dtype) == (theirs.kind, theirs.detail, theirs.dtype)
            and len(mine.sources) == len(theirs.sources)
            and all(same(a, b) for a, b in zip(mine.sources, theirs.sources, strict=True))
        )

    if node.kind not in ("elementwise", "reduce") or not same(pattern.result, node):
        return None
    return (argument[0], found) if argument[0].shape == node.shape else None
