"""The statements of a step in JavaScript: sizes are names, short values stand where they are read."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from portable_nn.compiler.graph import Graph, Node, base, is_computed
from portable_nn.compiler.instructions import Instruction
from portable_nn.compiler.javascript.parentheses import operand
from portable_nn.compiler.javascript.sizes import Sizes
from portable_nn.compiler.languages import JavaScript, Writer
from portable_nn.compiler.languages.language import listed
from portable_nn.compiler.languages.writer import Shape, in_braces
from portable_nn.compiler.layout import Layout, broadcast_strides, contiguous_strides, layout_of
from portable_nn.compiler.plan import Plan
from portable_nn.compiler.signatures import HostArray

LONGEST = 60  # characters of a value without a name
VALUE = re.compile(r"\bv\d+\b")  # the name of one


class SizedJavaScript(JavaScript):
    """JavaScript in which a number that comes from a size is written as that size."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes

    def literal(self, x: float, dtype: np.dtype[Any]) -> str:
        return self.sizes.number(x) or super().literal(x, dtype)


class NamedMemory:
    """The arrays of a step by name: inputs, results, and the `buffers` and `tables` met so far."""

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        sizes: Sizes,
        names: Sequence[str],
        results: Sequence[str],
    ) -> None:
        self.plan, self.sizes, self.names = plan, sizes, names
        self.tables: dict[str, HostArray] = {}
        self.buffers: dict[str, Node] = {}
        self.used: set[str] = set()  # names of inputs and results
        self.named: dict[Node, str] = {}  # the results that are computed where they are wanted
        self.copied: list[tuple[Node, str]] = []  # the others
        copied_last = [(graph.outputs[i], names[into]) for i, into in plan.copied_to.items()]
        inputs = set(names)
        for node, name in zip(graph.outputs, results, strict=True):
            if name in inputs:
                continue
            if self.is_free(node):
                self.named[base(node)] = name
            else:
                self.copied.append((node, name))
        self.copied += copied_last

    def is_free(self, node: Node) -> bool:
        """Whether the memory of the array is its own, in row-major order, and has no name yet."""
        root = base(node)
        is_whole = layout_of(node).is_contiguous and math.prod(root.shape) == math.prod(node.shape)
        is_taken = root in self.named or root in self.plan.in_place_of
        return is_computed(root) and is_whole and not is_taken

    def size(self, n: int) -> str:
        """See `Memory`: a product of names."""
        return self.sizes.text(n)

    def array(self, node: Node) -> str:
        """See `Memory`."""
        root = base(node)
        root = self.plan.in_place_of.get(root, root)
        if root.kind == "constant":
            name = f"table{root.number}"
            self.tables[name] = root.detail
            return name
        if root.kind == "input" or root in self.named:
            name = self.names[root.detail] if root.kind == "input" else self.named[root]
            self.used.add(name)
            return name
        name = f"buffer{self.plan.buffer_of[root]}"
        if root.dtype != np.float64:  # memory has one type
            name += f"_{root.dtype}"
        self.buffers.setdefault(name, root)
        return name


class StepWriter(Writer):
    """Writes instructions with names of sizes.

    A group whose arrays all lie alike is one loop, whatever their axes are. A value that is read once,
    and not long, stands in the place where it is read.
    """

    value = "v"

    def __init__(self, memory: NamedMemory) -> None:
        super().__init__(memory, SizedJavaScript(memory.sizes))
        self.language: SizedJavaScript
        self.is_flat = False

    @staticmethod
    def helpers(lines: Sequence[str]) -> list[str]:
        """The lines of the functions that these lines call."""
        return "\n".join(JavaScript().helpers(lines)).splitlines()

    def buffers(self, buffers: Mapping[str, Node]) -> list[str]:
        """The lines that make buffers: of doubles all at once, of others one by one."""
        lengths = {n: self.memory.size(math.prod(node.shape)) for n, node in buffers.items()}
        doubles = [n for n, node in buffers.items() if node.dtype == np.float64]
        lines = [
            self.language.buffer(n, node.dtype, lengths[n])
            for n, node in buffers.items()
            if n not in doubles
        ]
        if doubles:
            lines += listed("const lengths = [", [lengths[n] for n in doubles], "];")
            lines += listed("const [", doubles, "] = lengths.map((n) => new Float64Array(n));")
        return lines

    def read(self, node: Node, shape: Shape) -> str:
        if node.kind == "constant" and node.detail.size == 1:
            return self.language.literal(node.detail.item(), node.dtype)
        return super().read(node, shape)

    def place(self, strides: Sequence[int], shape: Shape, offset: int = 0) -> str:
        if self.is_flat:
            strides, shape = (int(any(strides)),), (math.prod(shape),)
        return super().place(strides, shape, offset)

    def loops(self, shape: Shape, axes: Sequence[int], body: Sequence[str]) -> list[str]:
        if self.is_flat and axes:
            shape, axes = (math.prod(shape[axis] for axis in axes),), (0,)
        return super().loops(shape, axes, body)

    def group(self, one: Instruction) -> list[str]:
        shape = one.nodes[0].shape
        self.is_flat = all(lie_alike(node, shape) for node in (*one.sources, *one.outputs))
        body = self.short(one, self.values(one, shape))
        lines = self.loops(shape, range(len(shape)), body)
        self.is_flat = False
        return in_braces(body, lines) if body[0].startswith("const") else lines

    def reduction(
        self, node: Node, ufunc: Any, over: Any, keepdims: bool, is_mean: bool = False
    ) -> list[str]:
        (source,) = node.sources
        shape, layout, size = source.shape, layout_of(source), self.memory.size
        axes = normalize_axis_tuple(range(len(shape)) if over is None else over, len(shape))
        left = len(shape) - len(axes)
        are_last = set(axes) == set(range(left, len(shape)))
        if ufunc is np.add and not is_mean and are_last and layout.is_contiguous and not layout.offset:
            arrays = [self.memory.array(each) for each in (node, source)]
            sizes = [size(math.prod(part)) for part in (shape[:left], shape[left:])]
            return [f"add_rows({', '.join([*arrays, *sizes])});"]
        return super().reduction(node, ufunc, over, keepdims, is_mean)

    def loops_of_product(self, node: Node, A: Layout, B: Layout) -> list[str]:
        if A.offset or B.offset:
            return super().loops_of_product(node, A, B)
        arrays = [self.memory.array(each) for each in (node, *node.sources)]
        sizes = (A.shape[0], B.shape[1], A.shape[1], *A.strides, *B.strides)
        return [f"multiply({', '.join([*arrays, *map(self.memory.size, sizes)])});"]

    def short(self, one: Instruction, values: Mapping[Node, str]) -> list[str]:
        """The lines of a loop: values with a name, then what is stored."""
        names = {self.name(node): node for node in values}
        reads = [word for text in values.values() for word in VALUE.findall(text)]
        reads += [self.name(node) for node in one.outputs]
        texts: dict[str, str] = {}  # of the values without a name
        lines: list[str] = []
        stored: list[str] = []
        written: set[str] = set()  # arrays
        for name, node in names.items():
            text = VALUE.sub(lambda found: operand(texts, found), values[node])
            if reads.count(name) == 1 and (len(text) <= LONGEST or node in one.outputs):
                texts[name] = text
            else:
                lines.append(self.language.value(name, node.dtype, text))
        for node in one.outputs:
            name, array = self.name(node), self.memory.array(node)
            text = texts.get(name, name)
            if any(f"{other}[" in text for other in written):  # it would be read too late
                lines.append(self.language.value(name, node.dtype, text))
                text = name
            stored.append(self.write(node, text))
            written.add(array)
        return lines + stored


def lie_alike(node: Node, shape: Shape) -> bool:
    """Whether the array, broadcast to `shape`, is one element, or all of them in row-major order."""
    layout = layout_of(node)
    strides = broadcast_strides(layout, shape)
    pairs = zip(shape, strides, contiguous_strides(shape), strict=True)
    return not any(strides) or all(n == 1 or stride == full for n, stride, full in pairs)
