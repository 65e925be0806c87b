"""A traced step as a program for a GPU: kernels and matrix products in the order of their launches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portable_nn import trees
from portable_nn.compiler.cuda.device import Device, EnqueueKernel
from portable_nn.compiler.cuda.expressions import unsupported
from portable_nn.compiler.cuda.kernels import Kernel, kernel_for, reads_per_step_inputs
from portable_nn.compiler.cuda.launches import KernelLaunch, order_launches
from portable_nn.compiler.cuda.memory_map import MemoryMap
from portable_nn.compiler.cuda.prelude import PRELUDE
from portable_nn.compiler.cuda.products import MatrixProduct, product_of
from portable_nn.compiler.cuda.regions import fuse_regions, split_reductions
from portable_nn.compiler.graph import Node, is_elementwise
from portable_nn.compiler.instructions import Instruction
from portable_nn.compiler.layout import Strides
from portable_nn.compiler.plan import make_plan
from portable_nn.compiler.signatures import Step
from portable_nn.compiler.traced_step import TracedStep

ADVANCE = "if (blockIdx.x == 0 && threadIdx.x == 0) counter[0] += 1;"  # the device counts the steps


@dataclass(frozen=True)
class ProductLaunch:
    """A matrix product, and the nodes of its operands and its result."""

    product: MatrixProduct
    nodes: tuple[Node, Node, Node]


class CudaProgram(TracedStep):
    """A traced step as kernels and matrix products.

    The inputs from number `first_per_step` on are arrays whose first axis is the steps. `strides` (in
    elements) holds those of the inputs that are not contiguous, by their numbers.
    """

    def __init__(
        self,
        step: Step,
        form: trees.Form,
        leaves: Sequence[Any],
        overwrites: Mapping[int, int],
        first_per_step: int,
        strides: Mapping[int, Strides],
    ) -> None:
        super().__init__(step, form, leaves, overwrites)
        graph = split_reductions(self.graph)
        self.outputs = graph.outputs
        self.plan = make_plan(graph, is_elementwise, overwrites, fuse_regions, order_launches)
        per_step = frozenset(node for node in graph.inputs if node.detail >= first_per_step)
        self.memory_map = MemoryMap(
            self.plan, per_step, {graph.inputs[i]: s for i, s in strides.items()}
        )
        self.launches = self.make_launches(self.plan.instructions)
        if any(self.memory_map.is_per_step(self.outputs[out]) for out in self.plan.copied_to):
            raise unsupported("an output that is an unchanged per-step input")
        kernels = [one for one in self.launches if isinstance(one, Kernel)]
        self.names = [one.name for one in kernels]
        self.source = PRELUDE + "\n".join(one.source for one in kernels)
        self.functions: dict[str, EnqueueKernel] = {}

    def compile(self, device: Device) -> dict[str, EnqueueKernel]:
        """The functions that enqueue the kernels, by name; compiled at the first call."""
        if not self.functions:
            kernels = device.compile(self.source, self.names)
            self.functions = dict(zip(self.names, kernels, strict=True))
        return self.functions

    def make_launches(self, instructions: Sequence[Instruction]) -> list[Kernel | ProductLaunch]:
        """Kernels and matrix products in their order.

        The first kernel that does not read the step's number advances it; those after it subtract 1.
        """
        launches: list[Kernel | ProductLaunch] = []
        has_advanced = False
        for one in instructions:
            if not isinstance(one, KernelLaunch):
                launches.append(self.product_launch(one.nodes[0]))
                continue
            statement = ""
            if reads_per_step_inputs(one, self.memory_map):
                statement = f"const long long step = counter[0]{' - 1' if has_advanced else ''};"
            elif not has_advanced:
                has_advanced, statement = True, ADVANCE
            launches.append(kernel_for(one, self.memory_map, f"part_{len(launches)}", statement))
        if not has_advanced:
            source = f'extern "C" __global__ void count(long long* counter) {{ {ADVANCE} }}\n'
            launches.append(Kernel("count", source, (), 1))
        return launches

    def product_launch(self, node: Node) -> ProductLaunch:
        """The matrix product of a node; raises UntraceableError for what cuBLAS does not take."""
        nodes = (*node.sources, node)
        if any(n.dtype != node.dtype for n in nodes):
            raise unsupported("a product of arrays of different dtypes")
        left, right, out = (self.memory_map.layout(n) for n in nodes)
        if any(self.memory_map.is_per_step(n) for n in nodes):
            raise unsupported("a product with a per-step input")
        if left.shape[-1] == 0 or math.prod(out.shape) == 0:
            raise unsupported("a product without elements")
        return ProductLaunch(product_of(left, right, out, node.dtype), nodes)
