"""The statements that carry out instructions: loops, with elementwise operations fused.

What is special to a target is where its arrays are and how it writes their sizes: a subclass says both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from portable_nn.compiler.expressions import FILL_VALUES, REDUCERS, combined, expression
from portable_nn.compiler.graph import Node, UntraceableError, axis_given
from portable_nn.compiler.instructions import Instruction
from portable_nn.compiler.languages.language import Language
from portable_nn.compiler.layout import Layout, broadcast_strides, contiguous_strides, layout_of

Shape = tuple[int, ...]
INDICES = "ijklmn"  # of the axes


class Memory(Protocol):
    """Where the arrays of a function are, and how it writes their sizes."""

    def array(self, node: Node) -> str:
        """The name of the memory that the array is in."""

    def size(self, n: int) -> str:
        """The length of an axis, a stride or an offset."""


def is_fill(node: Node) -> bool:
    """Whether it is an array of one number."""
    return node.kind == "call" and node.detail[0] in FILL_VALUES


def is_fusable(node: Node) -> bool:
    """Whether an element of the result depends on that element of the sources alone, or on nothing."""
    return node.kind == "elementwise" or is_fill(node)


class Writer:
    """Writes instructions in a language, for arrays in some memory.

    The values of a loop are called by the letter `value` and a number.
    """

    value = "n"

    def __init__(self, memory: Memory, language: Language) -> None:
        self.memory, self.language = memory, language
        self.inside: set[Node] = set()  # what the present loop computes

    # ---- arrays ---------------------------------------------------------------------------------------

    def place(self, strides: Sequence[int], shape: Shape, offset: int = 0) -> str:
        """Where an element is at the indices of the loops over `shape`."""
        terms = [
            index if stride == 1 else f"{index} * {self.memory.size(stride)}"
            for index, stride, n in zip(INDICES, strides, shape, strict=False)
            if stride and n > 1
        ]
        terms += [self.memory.size(offset)] if offset or not terms else []
        return " + ".join(terms)

    def element(self, node: Node, strides: Sequence[int], shape: Shape, offset: int = 0) -> str:
        """The element of the array at the indices of the loops over `shape`."""
        return f"{self.memory.array(node)}[{self.place(strides, shape, offset)}]"

    def name(self, node: Node) -> str:
        """The name of a value that the present loop computes."""
        return f"{self.value}{node.number}"

    def read(self, node: Node, shape: Shape) -> str:
        """A value that the present loop computes, or the element of an array broadcast to `shape`."""
        if node in self.inside:
            return self.name(node)
        layout = layout_of(node)
        return self.element(node, broadcast_strides(layout, shape), shape, layout.offset)

    def write(self, node: Node, text: str) -> str:
        """A line that stores an element of a computed array."""
        return f"{self.element(node, contiguous_strides(node.shape), node.shape)} = {text};"

    # ---- instructions ---------------------------------------------------------------------------------

    def instruction(self, one: Instruction) -> list[str]:
        """The lines of an instruction."""
        node = one.nodes[0]
        if is_fusable(node):
            return self.group(one)
        if node.kind == "reduce":
            return self.reduction(node, *node.detail)
        if node.kind == "matmul":
            return self.product(node)
        if node.kind == "take":
            return self.taken(node)
        return self.call(node)

    def call(self, node: Node) -> list[str]:
        """The lines of a call of another function of NumPy."""
        function, arguments, options = node.detail if node.kind == "call" else (node.kind, (), {})
        if function is np.mean and len(arguments) == 1 and not set(options) - {"axis", "keepdims"}:
            over, keepdims = options.get("axis"), bool(options.get("keepdims"))
            return self.reduction(node, np.add, over, keepdims, is_mean=True)
        if function is np.concatenate and axis_given(arguments[1:], options) is not None:
            return self.concatenation(node, axis_given(arguments[1:], options))
        if function is np.take and axis_given(arguments[2:], options) is not None:
            return self.picked(node, axis_given(arguments[2:], options))
        raise UntraceableError(f"no code for {getattr(function, '__name__', function)}")

    def loops(self, shape: Shape, axes: Sequence[int], body: Sequence[str]) -> list[str]:
        """Loops over some axes of `shape`; those of one element need none."""
        lines, depth = [], 0
        for axis in axes:
            if shape[axis] > 1:
                n = self.memory.size(shape[axis])
                lines.append("  " * depth + self.language.loop(index_of(axis), n))
                depth += 1
        lines += [f"{'  ' * depth}{line}" for line in body]
        return lines + [f"{'  ' * d}}}" for d in reversed(range(depth))]

    def group(self, one: Instruction) -> list[str]:
        """Elementwise operations in one loop."""
        shape, body = one.nodes[0].shape, []
        for node, text in self.values(one, shape).items():
            body.append(self.language.value(self.name(node), node.dtype, text))
        body += [self.write(node, self.name(node)) for node in one.outputs]
        return in_braces(body, self.loops(shape, range(len(shape)), body))

    def values(self, one: Instruction, shape: Shape) -> dict[Node, str]:
        """The value of each operation of a group, in execution order."""
        found = {}
        self.inside = set(one.nodes)
        for node in one.nodes:
            if is_fill(node):
                text = self.language.literal(float(FILL_VALUES[node.detail[0]]), node.dtype)
            else:
                text = expression(node, lambda source: self.read(source, shape), self.language)
                text = self.language.rounded(text, node.dtype)
            found[node] = text
        self.inside = set()
        return found

    def reduction(
        self, node: Node, ufunc: Any, over: Any, keepdims: bool, is_mean: bool = False
    ) -> list[str]:
        """A sum or a mean, or a largest or smallest element, over some axes."""
        (source,) = node.sources
        shape, d = source.shape, len(source.shape)
        axes = normalize_axis_tuple(range(d) if over is None else over, d)
        kept = [axis for axis in range(d) if axis not in axes]
        f, name = self.language.suffix(node.dtype), self.name(node)
        text = combined(ufunc, name, self.read(source, shape), f)
        step = f"{name} = {self.language.rounded(text, node.dtype)};"
        left = tuple(1 if axis in axes else n for axis, n in enumerate(shape))
        strides = list(contiguous_strides(node.shape))
        if not keepdims:  # an index for each axis of the source
            strides = [strides[kept.index(axis)] if axis in kept else 0 for axis in range(d)]
        result = name
        if is_mean:
            count = self.memory.size(int(np.prod([shape[axis] for axis in axes])))
            result = self.language.rounded(f"{name} / ({count})", node.dtype)
        body = [
            self.language.value(name, node.dtype, REDUCERS[ufunc][0], changes=True),
            *self.loops(shape, axes, [step]),
            f"{self.element(node, strides, left)} = {result};",
        ]
        return in_braces(body, self.loops(shape, kept, body))

    def product(self, node: Node) -> list[str]:
        """A product of two matrices."""
        left, right = node.sources
        A, B = layout_of(left), layout_of(right)
        if len(A.shape) != 2 or len(B.shape) != 2 or left.dtype != right.dtype:
            raise UntraceableError(
                f"no code for a product of {left.dtype} {A.shape} and {right.dtype} {B.shape}; "
                "accepted: matrices of one dtype"
            )
        if B.shape[1] == 1 and is_contiguous(A, 1) and is_contiguous(B, 0):
            n, size = A.shape[-1], self.memory.size
            terms = [f"i * {size(A.strides[0])}"] * (A.shape[0] > 1) + [size(A.offset)] * (A.offset > 0)
            row = " + ".join([self.memory.array(left), *terms])
            column = " + ".join([self.memory.array(right), *[size(B.offset)] * (B.offset > 0)])
            text = self.language.product(row, column, size(n), node.dtype)
            return self.loops(node.shape, (0,), [self.write(node, text)])
        return self.loops_of_product(node, A, B)

    def loops_of_product(self, node: Node, A: Layout, B: Layout) -> list[str]:
        """C = A B as three loops, for A (n, p) and B (p, m) of any strides, such as transposed ones.

        The innermost loop goes along the rows of B where their elements follow one another, and else
        along p: memory is read in its order either way, for A B and for A B.mT.
        """
        (left, right), name, value = node.sources, self.name(node), self.language.value
        m, shape = B.shape[1], (A.shape[0], B.shape[1], A.shape[1])
        of_left = self.element(left, (A.strides[0], 0, A.strides[1]), shape, A.offset)
        of_right = self.element(right, (0, B.strides[1], B.strides[0]), shape, B.offset)
        result = self.element(node, (m, 1, 0), shape)
        if B.strides[1] == 1 and m > 1:
            along = self.loops(shape, (1,), [f"{result} += {name} * {of_right};"])
            row = [
                *self.loops(shape, (1,), [f"{result} = 0;"]),
                *self.loops(shape, (2,), [value(name, node.dtype, of_left), *along]),
            ]
            return self.loops(shape, (0,), in_braces(row, row) if shape[2] == 1 else row)
        element = [
            value(name, node.dtype, "0", changes=True),
            *self.loops(shape, (2,), [f"{name} += {of_left} * {of_right};"]),
            f"{result} = {name};",
        ]
        return in_braces(element, self.loops(shape, (0, 1), element))

    def concatenation(self, node: Node, axis: int) -> list[str]:
        """Arrays one after the other along an axis."""
        lines, strides, start = [], contiguous_strides(node.shape), 0
        axis = normalize_axis_index(axis, len(node.shape))
        for source in node.sources:
            place = self.element(node, strides, source.shape, start * strides[axis])
            copied = [f"{place} = {self.read(source, source.shape)};"]
            lines += self.loops(source.shape, range(len(source.shape)), copied)
            start += source.shape[axis]
        return lines

    def picked(self, node: Node, axis: int) -> list[str]:
        """A column of a matrix, by a code that is known to be one of its columns."""
        table, codes = node.sources
        layout, code = layout_of(table), layout_of(codes)
        if len(layout.shape) != 2 or axis not in (-1, 1) or code.shape != (1,):
            raise UntraceableError(f"no code for take from {layout.shape} by {code.shape}")
        row, column = map(self.memory.size, layout.strides)
        index = f"{self.memory.array(codes)}[{self.memory.size(code.offset)}] * {column}"
        start = self.memory.size(layout.offset)
        text = f"{self.memory.array(table)}[i * {row} + {index} + {start}]"
        return self.loops(node.shape, (0,), [self.write(node, text)])

    def taken(self, node: Node) -> list[str]:
        """Rows of an array (N, n) or (N,), by their numbers (B,)."""
        table, rows = node.sources
        layout = layout_of(table)
        if len(rows.shape) != 1:
            raise UntraceableError(f"no code for take by {rows.shape}; accepted: an array of one axis")
        first, *rest = layout.strides
        terms = [self.read(rows, node.shape[:1]) + (f" * {self.memory.size(first)}" if rest else "")]
        terms += [f"j * {self.memory.size(stride)}" if stride != 1 else "j" for stride in rest]
        terms += [self.memory.size(layout.offset)] if layout.offset else []
        text = f"{self.memory.array(table)}[{' + '.join(terms)}]"
        return self.loops(node.shape, range(len(node.shape)), [self.write(node, text)])

    def copied(self, node: Node, target: str) -> list[str]:
        """The lines that copy an array to other memory."""
        place = self.place(contiguous_strides(node.shape), node.shape)
        line = f"{target}[{place}] = {self.read(node, node.shape)};"
        return self.loops(node.shape, range(len(node.shape)), [line])


def is_contiguous(layout: Layout, axis: int) -> bool:
    """Whether the elements along an axis follow one another."""
    return 1 in (layout.shape[axis], layout.strides[axis])


def in_braces(body: Sequence[str], lines: list[str]) -> list[str]:
    """The lines, in a block of their own where no loop makes one: names end with it."""
    return ["{", *(f"  {line}" for line in body), "}"] if lines == list(body) else lines


def index_of(axis: int) -> str:
    """The index of the loop over this axis."""
    if axis >= len(INDICES):
        raise UntraceableError(f"no code for arrays of more than {len(INDICES)} axes")
    return INDICES[axis]
