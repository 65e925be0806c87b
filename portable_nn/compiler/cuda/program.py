"""A step as a program for a GPU: what is put in line, in which order, on which memory."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.compiler.cuda.device import Device, Work
from portable_nn.compiler.cuda.expressions import refuse
from portable_nn.compiler.cuda.kernels import (
    HEAD,
    THREADS,
    Kernel,
    Lie,
    Memory,
    kernel_for,
    reads_each,
)
from portable_nn.compiler.cuda.launches import Launch, in_launches
from portable_nn.compiler.cuda.products import Product, product_of
from portable_nn.compiler.cuda.regions import in_two, joined
from portable_nn.compiler.layout import Shape
from portable_nn.compiler.plan import Instruction, is_elementwise, make_plan
from portable_nn.compiler.record import Record, Step
from portable_nn.compiler.trace import Node

NEXT = "if (blockIdx.x == 0 && threadIdx.x == 0) counter[0] += 1;"  # the steps are counted on the device
NODES = 512  # of a graph, at most, as long as it has more than one step
UNROLLED = 16  # steps of a graph, at most


@dataclass(frozen=True)
class Multiply:
    """A product, and the nodes whose arrays take part."""

    product: Product
    nodes: tuple[Node, Node, Node]


class Program(Record):
    """A record as kernels and products; the inputs from number `first` on come once for all steps.

    `strides` (in elements) says how those inputs lie whose elements do not lie in one row.
    """

    def __init__(
        self,
        step: Step,
        skeleton: trees.Form,
        leaves: Sequence[Any],
        places: Mapping[int, int],
        first: int,
        strides: Mapping[int, Shape],
    ) -> None:
        super().__init__(step, skeleton, leaves, places)
        graph = in_two(self.graph)
        self.outputs = graph.outputs
        self.plan = make_plan(graph, is_elementwise, places, joined, in_launches)
        each = frozenset(node for node in graph.inputs if node.detail >= first)
        self.lie = Lie(self.plan, each, {graph.inputs[i]: s for i, s in strides.items()})
        self.line = self.in_line(self.plan.instructions)
        if any(self.lie.is_of_each(self.outputs[out]) for out in self.plan.left_over):
            raise refuse("an output that is what comes once for all steps, as it is")
        kernels = [one for one in self.line if isinstance(one, Kernel)]
        self.names = [one.name for one in kernels]
        self.source = HEAD + "\n".join(one.source for one in kernels)
        self.functions: dict[str, Any] = {}

    def compiled(self, device: Device) -> dict[str, Any]:
        """The kernels by their names, as functions that put them in line."""
        if not self.functions:
            kernels = device.kernels(self.source, self.names)
            self.functions = dict(zip(self.names, kernels, strict=True))
        return self.functions

    def in_line(self, instructions: Sequence[Instruction]) -> list[Kernel | Multiply]:
        """Kernels and products in their order.

        The step is counted in the first launch that does not need its number; those after it, which
        see the next one, know.
        """
        line: list[Kernel | Multiply] = []
        has_counted = False
        for one in instructions:
            if not isinstance(one, Launch):
                line.append(self.multiply(one.nodes[0]))
                continue
            counted = ""
            if reads_each(one, self.lie):
                counted = f"const long long step = counter[0]{' - 1' if has_counted else ''};"
            elif not has_counted:
                has_counted, counted = True, NEXT
            line.append(kernel_for(one, self.lie, f"part_{len(line)}", counted))
        if not has_counted:
            source = f'extern "C" __global__ void count(long long* counter) {{ {NEXT} }}\n'
            line.append(Kernel("count", source, (), 1))
        return line

    def multiply(self, node: Node) -> Multiply:
        """The product of a node."""
        nodes = (*node.sources, node)
        if any(n.dtype != node.dtype for n in nodes):
            raise refuse("a product of arrays of different dtypes")
        left, right, out = (self.lie.layout(n) for n in nodes)
        if any(self.lie.is_of_each(n) for n in nodes):
            raise refuse("a product with what comes once for all steps")
        if left.shape[-1] == 0 or math.prod(out.shape) == 0:
            raise refuse("a product without elements")
        return Multiply(product_of(left, right, out, node.dtype), nodes)


class Bound:
    """A program on certain arrays of a device: `run` makes steps.

    `carry` and `each` are its own, and `start` fills them; `buffers` hold what is worked out on the way,
    and nothing between two runs. `fixed`, the data, is read where it lies and not kept: `lend` gives it
    for a run, `give_back` lets go of it. `replay`: as graphs, where the device can capture.
    """

    def __init__(
        self,
        program: Program,
        device: Device,
        carry: Sequence[Any],
        fixed: Sequence[Any],
        each: Sequence[Any],
        buffers: Sequence[Any],
        replay: bool,
    ) -> None:
        self.program, self.device, self.carry, self.each = program, device, carry, each
        self.steps = len(each[0])
        self.replay = replay and device.can_capture
        self.counter, self.zero = (device.array(np.zeros(1, "int64")) for _ in range(2))
        self.data = range(len(carry), len(carry) + len(fixed))  # the numbers of these inputs
        self.borrowed: list[tuple[list[Any], int, int]] = []  # a kernel's arguments, where, which input
        inputs = enumerate((*carry, *fixed, *each))
        self.memory: dict[Memory, Any] = {("input", i): array for i, array in inputs}
        self.memory |= {("buffer", i): array for i, array in enumerate(buffers)}
        functions = program.compiled(device)
        self.works: list[Work] = []
        for one in program.line:
            if isinstance(one, Kernel):
                arguments = self.arguments(one)
                self.works.append(functools.partial(functions[one.name], one.blocks, THREADS, arguments))
            else:
                self.works.append(device.product(one.product, *map(self.array, one.nodes)))
        self.works += self.late()
        self.graphs: dict[int, Work] = {}

    def arguments(self, kernel: Kernel) -> list[Any]:
        """What a kernel is handed."""
        found = [self.counter]
        for kind, which in kernel.arguments:
            if kind == "input" and which in self.data:
                self.borrowed.append((found, len(found), int(which)))  # type: ignore[call-overload]
            found.append(self.piece((kind, which)))
        return found

    def lend(self, fixed: Sequence[Any]) -> None:
        """Give it the data, where it lay when this was made."""
        for arguments, place, which in self.borrowed:
            arguments[place] = fixed[which - self.data.start]

    def give_back(self) -> None:
        """Let go of the data: whoever owns it may free it."""
        for arguments, place, _ in self.borrowed:
            arguments[place] = None
        for which in self.data:
            self.memory.pop(("input", which), None)

    def piece(self, memory: Memory) -> Any:
        """A piece of memory as an array."""
        if memory[0] == "constant" and memory not in self.memory:
            node: Any = memory[1]
            self.memory[memory] = self.device.array(np.ascontiguousarray(node.detail))
        return self.memory[memory]

    def array(self, node: Node) -> Any:
        """The array of a node."""
        lie = self.program.lie
        return self.device.seen(self.piece(lie.memory(node)), node.dtype, lie.layout(node))

    def late(self) -> list[Work]:
        """Copies of outputs that could not be made where they belong: first aside, then there."""
        aside, back = [], []
        for out, into in self.program.plan.left_over.items():
            node = self.program.outputs[out]
            kept = self.device.empty(node.shape, node.dtype)
            aside.append(functools.partial(self.device.copy, kept, self.array(node)))
            back.append(functools.partial(self.device.copy, self.memory["input", into], kept))
        return [*aside, *back]

    def start(self, given: Sequence[Any]) -> None:
        """Take over a carry, and what comes once for all steps; the next step is number 0."""
        for own, array in zip((*self.carry, *self.each), given, strict=True):
            self.device.copy(own[: len(array)] if own.shape != array.shape else own, array)
        self.device.copy(self.counter, self.zero)

    def put(self, steps: int) -> None:
        """Put so many steps in line, one launch after the other."""
        for _ in range(steps):
            for work in self.works:
                work()

    def run(self, steps: int) -> None:
        """Put so many steps in line, the first of them number 0."""
        if not self.replay:
            self.put(steps)
            return
        for at_once, times in self.portions(steps):
            for _ in range(times):
                self.graphs[at_once]()

    def portions(self, steps: int) -> Iterator[tuple[int, int]]:
        """(steps of a graph, how often it is replayed) for so many steps, the largest graph first."""
        most = min(UNROLLED, max(1, NODES // len(self.works)))
        while steps:
            at_once = 1 << (min(most, steps).bit_length() - 1)
            yield at_once, steps // at_once
            steps %= at_once

    def capture(self, steps: int) -> None:
        """Capture the graphs that so many steps need; nothing is carried out."""
        for at_once, _ in self.portions(steps) if self.replay else ():
            if at_once not in self.graphs:
                self.graphs[at_once] = self.device.capture(functools.partial(self.put, at_once))
