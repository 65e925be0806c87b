"""A CUDA program with its arrays on a device, ready to run steps."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from portable_nn.compiler.cuda.device import Device, DeviceArray, Enqueue
from portable_nn.compiler.cuda.kernels import Kernel
from portable_nn.compiler.cuda.memory_map import MemoryKey
from portable_nn.compiler.cuda.parts import THREADS
from portable_nn.compiler.cuda.program import CudaProgram
from portable_nn.compiler.graph import Node

GRAPH_NODES = 512  # of a graph, at most, if it has more than one step
UNROLLED = 16  # steps of a graph, at most


class LoadedProgram:
    """A program on certain arrays of a device.

    `carry` and `per_step` are its own; `start` fills them. `buffers` hold intermediate results, and
    nothing between two runs. `fixed`, the data, is read in place and not kept: `lend_data` provides it
    for a run, and `release_data` lets go of it. `replay`: as CUDA graphs, if the device can capture.
    """

    def __init__(
        self,
        program: CudaProgram,
        device: Device,
        carry: Sequence[DeviceArray],
        fixed: Sequence[DeviceArray],
        per_step: Sequence[DeviceArray],
        buffers: Sequence[DeviceArray],
        replay: bool,
    ) -> None:
        self.program, self.device, self.carry, self.per_step = program, device, carry, per_step
        self.steps = len(per_step[0])
        self.replay = replay and device.can_capture
        self.counter, self.zero = (device.to_device(np.zeros(1, "int64")) for _ in range(2))
        self.data = range(len(carry), len(carry) + len(fixed))  # the numbers of these inputs
        self.borrowed: list[tuple[list[Any], int, int]] = []  # arguments, position, number of the input
        inputs = enumerate((*carry, *fixed, *per_step))
        self.memory: dict[MemoryKey, DeviceArray] = {("input", i): array for i, array in inputs}
        self.memory |= {("buffer", i): array for i, array in enumerate(buffers)}
        functions = program.compile(device)
        self.work: list[Enqueue] = []
        for one in program.launches:
            if isinstance(one, Kernel):
                arguments = self.arguments(one)
                self.work.append(functools.partial(functions[one.name], one.blocks, THREADS, arguments))
            else:
                self.work.append(device.product(one.product, *map(self.array, one.nodes)))
        self.work += self.final_copies()
        self.graphs: dict[int, Enqueue] = {}

    def arguments(self, kernel: Kernel) -> list[DeviceArray]:
        """The arguments of a kernel; those that are data change from run to run."""
        found = [self.counter]
        for kind, which in kernel.arguments:
            if kind == "input" and which in self.data:
                self.borrowed.append((found, len(found), int(which)))  # type: ignore[call-overload]
            found.append(self.piece((kind, which)))
        return found

    def lend_data(self, fixed: Sequence[DeviceArray]) -> None:
        """Provide the data, at the addresses that it had when this object was made."""
        for arguments, position, which in self.borrowed:
            arguments[position] = fixed[which - self.data.start]

    def release_data(self) -> None:
        """Let go of the data, so that its owner can free it."""
        for arguments, position, _ in self.borrowed:
            arguments[position] = None
        for which in self.data:
            self.memory.pop(("input", which), None)

    def piece(self, memory: MemoryKey) -> DeviceArray:
        """The array that holds this memory; constants are moved to the device when first asked for."""
        if memory[0] == "constant" and memory not in self.memory:
            node: Any = memory[1]
            self.memory[memory] = self.device.to_device(np.ascontiguousarray(node.detail))
        return self.memory[memory]

    def array(self, node: Node) -> DeviceArray:
        """The array of a node."""
        places = self.program.memory_map
        return self.device.view(self.piece(places.memory(node)), node.dtype, places.layout(node))

    def final_copies(self) -> list[Enqueue]:
        """The copies of outputs that could not overwrite their input: first aside, then there."""
        aside, back = [], []
        for out, into in self.program.plan.copied_to.items():
            node = self.program.outputs[out]
            kept = self.device.empty(node.shape, node.dtype)
            aside.append(functools.partial(self.device.copy, kept, self.array(node)))
            back.append(functools.partial(self.device.copy, self.memory["input", into], kept))
        return [*aside, *back]

    def start(self, arrays: Sequence[DeviceArray]) -> None:
        """Copy a carry and per-step inputs to the program's own; the next step is number 0."""
        for own, array in zip((*self.carry, *self.per_step), arrays, strict=True):
            self.device.copy(own[: len(array)] if own.shape != array.shape else own, array)
        self.device.copy(self.counter, self.zero)

    def enqueue(self, steps: int) -> None:
        """Enqueue so many steps, launch by launch."""
        for _ in range(steps):
            for work in self.work:
                work()

    def run(self, steps: int) -> None:
        """Enqueue so many steps, the first of them number 0, launch by launch or as graphs."""
        if not self.replay:
            self.enqueue(steps)
            return
        for size, times in self.graph_sizes(steps):
            for _ in range(times):
                self.graphs[size]()

    def graph_sizes(self, steps: int) -> Iterator[tuple[int, int]]:
        """(steps of a graph, how often it is replayed) for so many steps, the largest graph first."""
        most = min(UNROLLED, max(1, GRAPH_NODES // len(self.work)))
        while steps:
            size = 1 << (min(most, steps).bit_length() - 1)
            yield size, steps // size
            steps %= size

    def capture(self, steps: int) -> None:
        """Capture the graphs that so many steps need; nothing runs."""
        for size, _ in self.graph_sizes(steps) if self.replay else ():
            if size not in self.graphs:
                self.graphs[size] = self.device.capture(functools.partial(self.enqueue, size))
