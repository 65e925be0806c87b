"""The function that is being generated: its lines, and the names of the arrays in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_nn.compiler.graph import Node
from portable_nn.compiler.layout import Shape
from portable_nn.compiler.plan import Plan
from portable_nn.compiler.signatures import HostArray


class Emitter:
    """Collects the lines of a function: `setup` runs once, `compile` after it, `steps` in every step.

    `names` holds what the lines refer to. No array moves between steps, so a view of it is made once.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.names: dict[str, Any] = {"np": np, "empty": np.empty, "copyto": np.copyto}
        self.setup: list[str] = []
        self.compile: list[str] = []
        self.steps: list[str] = []
        self._names_of_arrays: dict[Node, str] = {}
        self._assigned: set[str] = set()

    def name(self, prefix: str, thing: Any) -> str:
        """A new name, which refers to `thing`."""
        name = f"{prefix}{len(self.names)}"
        self.names[name] = thing
        return name

    def assign_once(self, variable: str, expression: str) -> str:
        """A variable of the setup; only the first call for it adds the assignment."""
        if variable not in self._assigned:
            self._assigned.add(variable)
            self.setup.append(f"{variable} = {expression}")
        return variable

    def array(self, node: Node) -> str:
        """The name of the array of `node`; the first call for it adds what creates it to the setup."""
        if node not in self._names_of_arrays:
            self._names_of_arrays[node] = self._create(node)
        return self._names_of_arrays[node]

    def _create(self, node: Node) -> str:
        if node.kind == "input":
            return f"i{node.detail}"
        if node.kind == "constant":
            return self.name("c", node.detail)
        if node in self.plan.in_place_of:
            return self.array(self.plan.in_place_of[node])
        if node.kind == "view":
            view = f"{self.name('view', node.detail)}({self.array(node.sources[0])})"
            return self.assign_once(f"a{node.number}", view)
        self.names["from_buffer"] = from_buffer
        number = self.plan.buffer_of[node]
        buffer = self.assign_once(f"m{number}", f"empty({self.plan.buffers[number]}, 'u1')")
        array = f"from_buffer({buffer}, {node.shape}, {self.dtype(node.dtype)})"
        return self.assign_once(f"a{node.number}", array)

    def dtype(self, dtype: np.dtype[Any]) -> str:
        """The name of a dtype."""
        self.names[f"d_{dtype.name}"] = dtype
        return f"d_{dtype.name}"

    def reshaped(self, node: Node, shape: Shape) -> str:
        """The name of the array of `node` in another shape."""
        name = self.array(node)
        if shape == node.shape:
            return name
        return self.assign_once(f"{name}_{'_'.join(map(str, shape))}", f"{name}.reshape({shape})")


def from_buffer(buffer: HostArray, shape: Shape, dtype: np.dtype[Any]) -> HostArray:
    """The beginning of a buffer as an array."""
    return np.ndarray(shape, dtype, buffer)
