"""The CUDA C of one instruction: expressions for its arrays and values, and elementwise code."""

from __future__ import annotations

import math

from portable_nn.compiler.cuda.expressions import expression, number, type_of, unsupported
from portable_nn.compiler.cuda.indexing import element_index
from portable_nn.compiler.cuda.memory_map import MemoryKey, MemoryMap
from portable_nn.compiler.expressions import FILL_VALUES
from portable_nn.compiler.graph import Node, base
from portable_nn.compiler.instructions import Instruction
from portable_nn.compiler.layout import Shape

THREADS = 256  # of a block
LARGE = 2**18  # elements: from here on a thread computes several
SEVERAL = 4

Code = tuple[list[str], int]  # lines of CUDA C, and the number of blocks that run them


class Part:
    """Expressions of CUDA C for the nodes of one instruction.

    `arguments` are the pointers of the kernel, which grow as they are needed; `pointers` holds the
    lines that declare typed pointers, by the base of the arrays that they point to.
    """

    def __init__(self, one: Instruction, memory_map: MemoryMap, arguments: dict[MemoryKey, str]) -> None:
        self.one, self.memory_map, self.arguments = one, memory_map, arguments
        self.inside = set(one.nodes)
        self.pointers: dict[Node, str] = {}

    def array(self, node: Node) -> str:
        """A pointer to the beginning of the memory of the array, at the current step."""
        root = base(node)
        if root not in self.pointers:
            memory = self.memory_map.memory(root)
            pointer = self.arguments.setdefault(memory, f"p{len(self.arguments)}")
            kind = type_of(root.dtype)
            offset = f" + step * {math.prod(root.shape)}" if self.memory_map.is_per_step(root) else ""
            self.pointers[root] = f"{kind}* a{root.number} = ({kind}*){pointer}{offset};"
        return f"a{root.number}"

    def element(self, node: Node, shape: Shape, index: str) -> str:
        """The element that the array, broadcast to `shape`, has at `index`."""
        return f"{self.array(node)}[{element_index(self.memory_map.layout(node), shape, index)}]"

    def value(self, node: Node, shape: Shape, index: str) -> str:
        """A source of an operation: a value that this instruction computes, or an element of memory."""
        return f"n{node.number}" if node in self.inside else self.element(node, shape, index)

    def computation(self, node: Node, shape: Shape, index: str) -> str:
        """The line that computes the element of `node` at `index`."""
        kind = type_of(node.dtype)
        if node.kind == "call" and node.detail[0] in FILL_VALUES:
            value = number(float(FILL_VALUES[node.detail[0]]), node.dtype)
        elif node.kind == "take" or (node.kind == "call" and len(node.sources) == 2):
            value = self.taken(node, index)
        elif node.kind == "elementwise":
            value = expression(node, lambda source: self.value(source, shape, index))
        else:
            raise unsupported(f"{node.kind} {getattr(node.detail, '__name__', node.detail)}")
        return f"const {kind} n{node.number} = {value};"

    def taken(self, node: Node, index: str) -> str:
        """The element at `index` of rows that are taken along an axis."""
        source, rows = node.sources
        axis = axis_of_take(node)
        inner, n = math.prod(source.shape[axis + 1 :]), source.shape[axis]
        before, after = f"{index} / {inner * math.prod(rows.shape)}", f"{index} % {inner}"
        row = self.element(rows, rows.shape, f"({index} / {inner} % {math.prod(rows.shape)})")
        row = f"row({row}, {n})"
        layout = self.memory_map.layout(source)
        if axis == 0 and len(source.shape) == 2:  # by its strides, which saves divisions
            s, t = layout.strides
            return f"{self.array(source)}[{row} * {s} + {after} * {t} + {layout.offset}]"
        return self.element(source, source.shape, f"((({before}) * {n} + {row}) * {inner} + {after})")


def elementwise_code(part: Part) -> Code:
    """The code of an instruction whose operations compute one result for each element."""
    shape = part.one.nodes[0].shape
    size = math.prod(shape)
    each, kind = SEVERAL if size >= LARGE else 1, index_type(size)
    lines = [part.computation(node, shape, "e") for node in part.one.nodes]
    lines += [f"{part.element(node, shape, 'e')} = n{node.number};" for node in part.one.outputs]
    body = [
        f"for (int k = 0; k < {each}; k++) {{",
        f"  const {kind} e = (({kind})block * {each} + k) * {THREADS} + threadIdx.x;",
        f"  if (e < {size}) {{",
        *(f"    {line}" for line in lines),
        "  }",
        "}",
    ]
    return body, -(-size // (THREADS * each))


def index_type(size: int) -> str:
    """The type of C for indices up to `size`, and those of the threads beyond it."""
    return "int" if size < 2**31 - THREADS * SEVERAL else "long long"


def axis_of_take(node: Node) -> int:
    """The axis along which rows are taken; raises UntraceableError for a node that takes none."""
    if node.kind == "take":
        return 0
    function, _, options = node.detail
    if getattr(function, "__name__", "") != "take" or set(options) != {"axis"}:
        raise unsupported(f"a call of {getattr(function, '__name__', function)}")
    if not isinstance(options["axis"], int):
        raise unsupported("rows taken along no axis")
    return int(options["axis"]) % len(node.sources[0].shape)
