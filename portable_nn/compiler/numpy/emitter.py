"""The function that is being generated: its lines, and the names of the arrays in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from portable_nn.compiler.graph import Node
from portable_nn.compiler.layout import Shape
from portable_nn.compiler.plan import Plan
from portable_nn.compiler.signatures import HostArray


class Emitter:
    """Collects the lines of a function: `setup` runs once, `compile` after it, `steps` in every step.

    `names` holds what the lines refer to. No array moves between steps, so a view of it is made once.
    `of_step` are the variables that are assigned anew in each step, and what is assigned to them. The
    memory of the inputs with the numbers `own_inputs` is allocated in the setup.
    """

    def __init__(self, plan: Plan, own_inputs: Collection[int] = ()) -> None:
        self.plan, self.own_inputs = plan, frozenset(own_inputs)
        self.names: dict[str, Any] = {"np": np, "empty": np.empty, "copyto": np.copyto}
        self.setup: list[str] = []
        self.compile: list[str] = []
        self.steps: list[str] = []
        self.of_step: dict[str, str] = {}
        self.variables: set[str] = set()
        self._names_of_arrays: dict[Node, str] = {}
        self._names_of_functions: dict[Callable[..., Any], str] = {}
        self._names_of_numbers: dict[tuple[str, str], str] = {}

    def name(self, prefix: str, thing: Any) -> str:
        """A new name, which refers to `thing`."""
        name = f"{prefix}{len(self.names)}"
        self.names[name] = thing
        return name

    def function(self, function: Callable[..., Any]) -> str:
        """The name of a function, the same for every call: a deep network calls few functions often."""
        if function not in self._names_of_functions:
            self._names_of_functions[function] = self.name("f", function)
        return self._names_of_functions[function]

    def number(self, number: Any, dtype: np.dtype[Any]) -> str:
        """The name of a Python number as a 0-d array of this dtype."""
        key = (repr(number), self.dtype(dtype))
        if key not in self._names_of_numbers:
            self._names_of_numbers[key] = self.name("c", np.array(number, dtype))
        return self._names_of_numbers[key]

    def assign_once(self, variable: str, expression: str) -> str:
        """A variable of the setup; only the first call for it adds the assignment."""
        if variable not in self.variables:
            self.variables.add(variable)
            self.setup.append(f"{variable} = {expression}")
        return variable

    def array(self, node: Node) -> str:
        """The name of the array of `node`; the first call for it adds what creates it to the setup."""
        if node not in self._names_of_arrays:
            self._names_of_arrays[node] = self._create(node)
        return self._names_of_arrays[node]

    def _create(self, node: Node) -> str:
        is_input = node.kind == "input"
        is_apart = node in self.plan.placed or node.kind in ("memory", "exchange")
        if is_apart or (is_input and self.owns(node)):
            return self._allocate(node)
        if is_input:
            return name_of(node)
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
        name = self.dtype(node.dtype)
        array = f"from_buffer({buffer}, {node.shape}, {name})"
        return self.assign_once(f"{buffer}_{joined(node.shape)}_{name}", array)

    def owns(self, node: Node) -> bool:
        """Whether the memory of this input is allocated in the setup."""
        return node.detail in self.own_inputs

    def _allocate(self, node: Node) -> str:
        """The name of an array that shares no buffer: a part of a longer one, or on its own."""
        name = self.name("long", None) if node.kind == "memory" else name_of(node)
        if node not in self.plan.placed:
            return self.assign_once(name, f"empty({node.shape}, {self.dtype(node.dtype)})")
        memory, start = self.plan.placed[node]
        part = f"{self.array(memory)}[{start}:{start + math.prod(node.shape)}]"
        return self.assign_once(name, f"{part}.reshape({node.shape})")

    def dtype(self, dtype: np.dtype[Any]) -> str:
        """The name of a dtype."""
        self.names[f"d_{dtype.name}"] = dtype
        return f"d_{dtype.name}"

    def reshaped(self, node: Node, shape: Shape) -> str:
        """The name of the array of `node` in another shape."""
        name = self.array(node)
        if shape == node.shape:
            return name
        return self.assign_once(f"{name}_{joined(shape)}", f"{name}.reshape({shape})")


def joined(shape: Shape) -> str:
    """A shape as a part of a name."""
    return "_".join(map(str, shape))


def name_of(node: Node) -> str:
    """The name of the array of a node that has memory of its own."""
    return f"i{node.detail}" if node.kind == "input" else f"a{node.number}"


def from_buffer(buffer: HostArray, shape: Shape, dtype: np.dtype[Any]) -> HostArray:
    """The beginning of a buffer as an array."""
    return np.ndarray(shape, dtype, buffer)
