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

CALLS = {  # functions of NumPy, and the methods of `Part` that write them
    "take": "taken",
    "reshape": "reshaped",
    "concat": "joined",
    "concatenate": "joined",
    "argsort": "sorted_place",
    "searchsorted": "place_among",
}

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
        elif node.kind == "call" and name_of_call(node) in CALLS:
            value = getattr(self, CALLS[name_of_call(node)])(node, index)
        elif node.kind == "take":
            value = self.taken(node, index)
        elif node.kind == "elementwise":
            value = expression(node, lambda source: self.value(source, shape, index))
        else:
            raise unsupported(f"{node.kind} {getattr(node.detail, '__name__', node.detail)}")
        return f"const {kind} n{node.number} = {value};"

    def reshaped(self, node: Node, index: str) -> str:
        """The element at `index` of an array in another shape, both counted in row-major order."""
        (source,), (_, arguments, options) = node.sources, node.detail
        if len(arguments) != 2 or set(options) - {"copy"}:
            raise unsupported("a reshape in another order")
        return self.element(source, source.shape, index)

    def joined(self, node: Node, index: str) -> str:
        """The element at `index` of arrays that are joined along an axis."""
        axis = axis_of_call(node)
        inner, n = math.prod(node.shape[axis + 1 :]), node.shape[axis]
        at, value, stop = f"({index} / {inner} % {n})", "", n
        for source in reversed(node.sources):
            if source.dtype != node.dtype:
                raise unsupported("arrays of several dtypes, joined")
            own = source.shape[axis]
            line = f"({at} - {stop - own}) * {inner} + {index} % {inner}"
            mine = self.element(
                source, source.shape, f"({index} / {n * inner} * {own * inner} + {line})"
            )
            value = f"({at} >= {stop} ? {value} : {mine})" if value else mine
            stop -= own
        return value

    def sorted_place(self, node: Node, index: str) -> str:
        """The number of the element that is at `index` once integers are sorted."""
        source = self.line(node, 0, "i")
        return f"nth({source}, {node.shape[0]}, {index})"

    def place_among(self, node: Node, index: str) -> str:
        """How many of the sorted elements are at most, or less than, the element at `index`."""
        _, _, options = node.detail
        function = "at_most" if options.get("side", "left") == "right" else "less_than"
        sorted_elements, wanted = node.sources
        value = self.element(wanted, wanted.shape, index)
        return f"{function}({self.line(node, 0, 'iu')}, {sorted_elements.shape[0]}, {value})"

    def line(self, node: Node, place: int, kinds: str) -> str:
        """A pointer to a source that is a line of integers in memory."""
        source = node.sources[place]
        layout = self.memory_map.layout(source)
        if len(source.shape) != 1 or source.dtype.kind not in kinds or not layout.is_contiguous:
            raise unsupported(f"a search of {source.dtype} of shape {source.shape}")
        return f"({self.array(source)} + {layout.offset})"

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
    """The axis along which rows are taken."""
    return 0 if node.kind == "take" else axis_of_call(node)


def axis_of_call(node: Node) -> int:
    """The `axis` that a function is called with; raises UntraceableError where there is none."""
    _, _, options = node.detail
    if set(options) != {"axis"} or not isinstance(options["axis"], int):
        raise unsupported(f"a call of {name_of_call(node)} along no axis")
    return int(options["axis"]) % len(node.sources[0].shape)


def name_of_call(node: Node) -> str:
    """The name of the function that is called."""
    return str(getattr(node.detail[0], "__name__", node.detail[0]))
