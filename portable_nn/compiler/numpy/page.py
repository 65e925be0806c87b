"""The function that is being written: its lines, and what the arrays in it are called."""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_nn.compiler.plan import Plan
from portable_nn.compiler.trace import Node


class Page:
    """`setup` lines are carried out once, `ready` lines after them, `steps` for each step.

    `names` holds what the lines refer to. Every array lies still: a view of it is made once.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.names: dict[str, Any] = {"np": np, "empty": np.empty, "copyto": np.copyto}
        self.setup: list[str] = []
        self.ready: list[str] = []
        self.steps: list[str] = []
        self._called: dict[Node, str] = {}
        self._made: set[str] = set()

    def name(self, prefix: str, thing: Any) -> str:
        """A name of its own for `thing`."""
        name = f"{prefix}{len(self.names)}"
        self.names[name] = thing
        return name

    def once(self, variable: str, expression: str) -> str:
        """A variable of the setup, the first time it is asked for given its value there."""
        if variable not in self._made:
            self._made.add(variable)
            self.setup.append(f"{variable} = {expression}")
        return variable

    def array(self, node: Node) -> str:
        """What the array of `node` is called; the first time, how it is got is written down."""
        if node not in self._called:
            self._called[node] = self._array(node)
        return self._called[node]

    def _array(self, node: Node) -> str:
        if node.kind == "input":
            return f"i{node.detail}"
        if node.kind == "constant":
            return self.name("c", node.detail)
        if node in self.plan.in_place_of:
            return self.array(self.plan.in_place_of[node])
        if node.kind == "view":
            seen = f"{self.name('view', node.detail)}({self.array(node.sources[0])})"
            return self.once(f"a{node.number}", seen)
        memory = self.once(f"m{self.plan.buffer_of[node]}", self.memory(node))
        return self.once(f"a{node.number}", f"shaped({memory}, {node.shape}, {self.dtype(node.dtype)})")

    def memory(self, node: Node) -> str:
        self.names["shaped"] = shaped
        return f"empty({self.plan.buffers[self.plan.buffer_of[node]]}, 'u1')"

    def dtype(self, dtype: np.dtype[Any]) -> str:
        """The name of a dtype."""
        self.names[f"d_{dtype.name}"] = dtype
        return f"d_{dtype.name}"

    def seen_as(self, node: Node, shape: tuple[int, ...]) -> str:
        """The array of `node`, whose elements lie in one row, seen in another shape."""
        name = self.array(node)
        if shape == node.shape:
            return name
        return self.once(f"{name}_{'_'.join(map(str, shape))}", f"{name}.reshape({shape})")


def shaped(memory: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """The beginning of a piece of memory as an array."""
    return np.ndarray(shape, dtype, memory)


def number_dtype(node: Node, at: int) -> np.dtype[Any]:
    """The dtype in which the Python number that is source `at` of `node` enters the operation."""
    return entering_dtypes(node)[at]


def entering_dtypes(node: Node) -> list[np.dtype[Any]]:
    """The dtypes in which the sources, arrays and Python numbers, enter an elementwise operation."""
    if node.detail == "where":
        return [np.dtype(bool), node.dtype, node.dtype]
    kinds = [
        s.dtype if isinstance(s, Node) else np.dtype(bool) if isinstance(s, bool) else type(s)
        for s in node.sources
    ]
    return list(node.detail.resolve_dtypes((*kinds, None))[:-1])
