"""The statements that compute one row, from its graph: loops, with elementwise operations fused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from portable_nn.compiler.expressions import FILL_VALUES, REDUCERS, combined, expression
from portable_nn.compiler.graph import Node, UntraceableError, axis_given, base, is_computed
from portable_nn.compiler.instructions import Instruction
from portable_nn.compiler.layout import broadcast_strides, contiguous_strides, layout_of
from portable_nn.compiler.plan import Plan, make_plan
from portable_nn.compiler.rows import RowGraph
from portable_nn.compiler.signatures import HostArray
from portable_nn.compiler.sources.language import Language

Shape = tuple[int, ...]
INDICES = "ijklmn"  # of the axes


@dataclass(frozen=True)
class Statements:
    """What computes ``out`` from ``x``: the tables it reads, its buffers, the lines, what they call."""

    tables: list[str]
    buffers: list[str]
    body: list[str]
    helpers: list[str]


def statements_of(rows: RowGraph, names: Sequence[str], language: Language) -> Statements:
    """The statements in this language; `names` are those of the arrays that all rows share.

    Raises UntraceableError for an operation that the language has no code for.
    """
    plan = make_plan(rows.graph, is_fusable, {})
    writer = Writer(rows, plan, names, language)
    body = [line for one in plan.instructions for line in writer.instruction(one)]
    body += writer.copied_output()
    return Statements(
        [line for name, array in writer.tables.items() for line in language.table(name, array)],
        [language.buffer(name, dtype, n) for (name, dtype), n in writer.buffers.items()],
        body,
        language.helpers(body),
    )


def is_fill(node: Node) -> bool:
    """Whether it is an array of one number."""
    return node.kind == "call" and node.detail[0] in FILL_VALUES


def is_fusable(node: Node) -> bool:
    """Whether an element of the result depends on that element of the sources alone, or on nothing."""
    return node.kind == "elementwise" or is_fill(node)


class Writer:
    """Writes instructions; `tables` and `buffers` are the arrays met so far, by their names."""

    def __init__(self, rows: RowGraph, plan: Plan, names: Sequence[str], language: Language) -> None:
        self.rows, self.plan, self.names, self.language = rows, plan, names, language
        self.tables: dict[str, HostArray] = {}
        self.buffers: dict[tuple[str, np.dtype[Any]], int] = {}
        self.inside: set[Node] = set()  # what the present loop computes

    # ---- arrays ---------------------------------------------------------------------------------------

    def array(self, node: Node) -> str:
        """The name of the memory that the array is in."""
        root = base(node)
        if root is self.rows.row:
            return "x"
        value = self.rows.value(root)
        if value is not None:
            name = self.names[root.detail - 1] if root.kind == "input" else f"constant{root.number}"
            self.tables[name] = value
            return name
        if root is base(self.rows.output) and self.is_output_in_order():
            return "out"
        name = f"buffer{self.plan.buffer_of[root]}"
        if root.dtype != self.rows.row.dtype:  # memory has one type
            name += f"_{root.dtype}"
        size = math.prod(root.shape)
        self.buffers[name, root.dtype] = max(size, self.buffers.get((name, root.dtype), 0))
        return name

    def is_output_in_order(self) -> bool:
        """Whether the result can be computed where it is wanted."""
        output = self.rows.output
        root = base(output)
        same = (root.dtype, math.prod(root.shape)) == (self.rows.row.dtype, math.prod(output.shape))
        return is_computed(root) and same and layout_of(output).is_contiguous

    def element(self, node: Node, strides: Sequence[int], shape: Shape, offset: int = 0) -> str:
        """The element of the array at the indices of the loops over `shape`."""
        terms = [
            index if stride == 1 else f"{index} * {stride}"
            for index, stride, n in zip(INDICES, strides, shape, strict=False)
            if stride and n > 1
        ]
        terms += [str(offset)] if offset or not terms else []
        return f"{self.array(node)}[{' + '.join(terms)}]"

    def read(self, node: Node, shape: Shape) -> str:
        """A value that the present loop computes, or the element of an array broadcast to `shape`."""
        if node in self.inside:
            return f"n{node.number}"
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
            return self.reduction(node)
        if node.kind == "matmul":
            return self.product(node)
        function, arguments, options = node.detail if node.kind == "call" else (np.take, (), {})
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
                lines.append("  " * depth + self.language.loop(index_of(axis), shape[axis]))
                depth += 1
        lines += [f"{'  ' * depth}{line}" for line in body]
        return lines + [f"{'  ' * d}}}" for d in reversed(range(depth))]

    def group(self, one: Instruction) -> list[str]:
        """Elementwise operations in one loop."""
        shape, body = one.nodes[0].shape, []
        self.inside = set(one.nodes)
        for node in one.nodes:
            if is_fill(node):
                text = self.language.literal(float(FILL_VALUES[node.detail[0]]), node.dtype)
            else:
                text = expression(node, lambda source: self.read(source, shape), self.language)
                text = self.language.rounded(text, node.dtype)
            body.append(self.language.value(f"n{node.number}", node.dtype, text))
        body += [self.write(node, f"n{node.number}") for node in one.outputs]
        self.inside = set()
        lines = self.loops(shape, range(len(shape)), body)
        if lines == body:  # names of their own
            return ["{", *(f"  {line}" for line in body), "}"]
        return lines

    def reduction(self, node: Node) -> list[str]:
        """A sum, or a largest or smallest element, over some axes."""
        (source,), (ufunc, over, keepdims) = node.sources, node.detail
        shape, d = source.shape, len(source.shape)
        axes = normalize_axis_tuple(range(d) if over is None else over, d)
        kept = [axis for axis in range(d) if axis not in axes]
        f, name = self.language.suffix(node.dtype), f"n{node.number}"
        text = combined(ufunc, name, self.read(source, shape), f)
        step = f"{name} = {self.language.rounded(text, node.dtype)};"
        left = tuple(1 if axis in axes else n for axis, n in enumerate(shape))
        strides = list(contiguous_strides(node.shape))
        if not keepdims:  # an index for each axis of the source
            strides = [strides[kept.index(axis)] if axis in kept else 0 for axis in range(d)]
        body = [
            self.language.value(name, node.dtype, REDUCERS[ufunc][0], changes=True),
            *self.loops(shape, axes, [step]),
            f"{self.element(node, strides, left)} = {name};",
        ]
        lines = self.loops(shape, kept, body)
        return ["{", *(f"  {line}" for line in body), "}"] if lines == body else lines

    def product(self, node: Node) -> list[str]:
        """A matrix times a column."""
        left, right = node.sources
        A, b = layout_of(left), layout_of(right)
        n = A.shape[-1]
        fits = len(A.shape) == len(b.shape) == 2 and b.shape[1] == 1
        if (
            not fits
            or left.dtype != right.dtype
            or 1 not in (n, A.strides[1])
            or 1 not in (n, b.strides[0])
        ):
            raise UntraceableError(f"no code for a product of {A.shape} and {b.shape}")
        row = place(self.array(left), f"i * {A.strides[0]}" if A.shape[0] > 1 else "", A.offset)
        column = place(self.array(right), "", b.offset)
        text = self.language.product(row, column, n, node.dtype)
        return self.loops(node.shape, (0,), [self.write(node, text)])

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
        row, column = layout.strides
        index = f"{self.array(codes)}[{code.offset}] * {column}"
        text = f"{self.array(table)}[i * {row} + {index} + {layout.offset}]"
        return self.loops(node.shape, (0,), [self.write(node, text)])

    def copied_output(self) -> list[str]:
        """The lines that copy the result to where it is wanted, if it was not computed there."""
        output = self.rows.output
        if self.is_output_in_order():
            return []
        strides = contiguous_strides(output.shape)
        target = self.element(output, strides, output.shape).split("[", 1)[1]
        value = self.read(output, output.shape)
        return self.loops(output.shape, range(len(output.shape)), [f"out[{target} = {value};"])


def index_of(axis: int) -> str:
    """The index of the loop over this axis."""
    if axis >= len(INDICES):
        raise UntraceableError(f"no code for arrays of more than {len(INDICES)} axes")
    return INDICES[axis]


def place(array: str, index: str, offset: int) -> str:
    """A place in an array."""
    more = " + ".join(filter(None, (index, str(offset) if offset else "")))
    return f"{array} + {more}" if more else array
