"""The source of a launch: a kernel in CUDA C whose blocks are shared out among its parts.

Every size is written into the source; what a kernel is handed are pieces of memory, and the number of
the step, by which it finds its own of what comes once for all steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from portable_nn.compiler.cuda.expressions import FILLED, STARTS, expression, number, refuse, type_of
from portable_nn.compiler.cuda.indexing import place
from portable_nn.compiler.cuda.launches import Launch
from portable_nn.compiler.cuda.regions import Lines, lines_of
from portable_nn.compiler.layout import Layout, Shape, layout_of
from portable_nn.compiler.plan import Instruction, Plan, base
from portable_nn.compiler.trace import Node

THREADS = 256  # of a block
SIDE = 32  # columns side by side in a block, where several threads share a column
MANY = 2**18  # elements: from here on a thread takes several
SEVERAL = 4

HEAD = """
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#endif
__device__ long long row(long long i, long long n) { return i < 0 ? i + n : i; }
template <typename T> __device__ T larger(T x, T y) { return x > y || x != x ? x : y; }
template <typename T> __device__ T smaller(T x, T y) { return x < y || x != x ? x : y; }
template <typename T> __device__ T sign(T x) { return x != x ? x : T((x > 0) - (x < 0)); }
template <typename T> __device__ T log_add_exp(T x, T y) {
  if (x == y) return x + log(2.0);  // a double's, as CuPy has it
  const T d = x - y;
  return d > 0 ? x + log1p(exp(-d)) : d <= 0 ? y + log1p(exp(d)) : d;
}
template <int N, int STRIDE, typename T, typename F>
__device__ T together(T mine, void* memory, F both) {
  T* of = (T*)memory;  // the results of N threads, STRIDE apart, to each of them
  const int at = threadIdx.x, lane = at / STRIDE % N;
  of[at] = mine;
  __syncthreads();
  for (int d = N / 2; d > 0; d /= 2) {
    if (lane < d) of[at] = both(of[at], of[at + d * STRIDE]);
    __syncthreads();
  }
  mine = of[at - lane * STRIDE];
  __syncthreads();
  return mine;
}
"""

Memory = tuple[str, object]  # ("buffer", its number) or ("input", its number) or ("constant", the node)


@dataclass(frozen=True)
class Kernel:
    """A kernel's name and source, the pieces of memory it takes in their order, and its blocks."""

    name: str
    source: str
    arguments: tuple[Memory, ...]
    blocks: int


@dataclass
class Lie:
    """Where everything lies: the memory of each node, and its layout there.

    The inputs `each` come as one array for all steps; `strides` as for `layout_of`.
    """

    plan: Plan
    each: frozenset[Node]
    strides: Mapping[Node, Shape]
    known: dict[Node, Layout] = field(default_factory=dict)

    def memory(self, node: Node) -> Memory:
        node = base(node)
        node = self.plan.in_place_of.get(node, node)
        if node.kind in ("input", "constant"):
            return (node.kind, node.detail if node.kind == "input" else node)
        return ("buffer", self.plan.buffer_of[node])

    def layout(self, node: Node) -> Layout:
        if node not in self.known:
            self.known[node] = layout_of(node, self.strides)
        return self.known[node]

    def is_of_each(self, node: Node) -> bool:
        """Whether it lies in what comes once for all steps."""
        return base(node) in self.each


def kernel_for(launch: Launch, lie: Lie, name: str, counted: str) -> Kernel:
    """The kernel of a launch; the statement `counted` has to do with the number of the step."""
    arguments: dict[Memory, str] = {}
    texts, first = [], 0
    for one in launch.parts:
        part = Part(one, lie, arguments)
        lines = "".join(f"    {line}\n" for line in (*part.arrays.values(), *part.body))
        start = f"const int block = blockIdx.x - {first};"
        texts.append(f"if (blockIdx.x < {first + part.blocks}) {{\n    {start}\n{lines}  }}")
        first += part.blocks
    texts = [text for text in [shared_memory(texts), counted] if text] + [" else ".join(texts)]
    given = ", ".join(["long long* counter", *(f"void* {pointer}" for pointer in arguments.values())])
    source = (
        f'extern "C" __global__ void {name}({given}) {{\n'
        + "".join(f"  {text}\n" for text in texts)
        + "}\n"
    )
    return Kernel(name, source, tuple(arguments), first)


def shared_memory(texts: list[str]) -> str:
    """The memory that the threads of a block share, where they do."""
    return f"__shared__ double memory[{THREADS}];" if any("memory" in text for text in texts) else ""


def reads_each(launch: Launch, lie: Lie) -> bool:
    """Whether a launch takes something of what comes once for all steps."""
    return any(lie.is_of_each(s) for part in launch.parts for s in part.sources)


class Part:
    """One instruction of a launch: the `body` of the lines that carry it out in `blocks` blocks."""

    def __init__(self, one: Instruction, lie: Lie, arguments: dict[Memory, str]) -> None:
        self.one, self.lie, self.arguments = one, lie, arguments
        self.inside = set(one.nodes)
        self.arrays: dict[Node, str] = {}
        reductions = [node for node in one.nodes if node.kind == "reduce"]
        if reductions:
            self.body, self.blocks = self.in_lines(lines_of(reductions[0]))
        else:
            self.body, self.blocks = self.element_by_element(one.nodes[0].shape)

    # -- names and places ------------------------------------------------------------------------

    def array(self, node: Node) -> str:
        """The pointer to the beginning of the memory in which the node's array lies, this step's."""
        root = base(node)
        if root not in self.arrays:
            pointer = self.arguments.setdefault(self.lie.memory(root), f"p{len(self.arguments)}")
            kind = type_of(root.dtype)
            start = f" + step * {math.prod(root.shape)}" if self.lie.is_of_each(root) else ""
            self.arrays[root] = f"{kind}* a{root.number} = ({kind}*){pointer}{start};"
        return f"a{root.number}"

    def element(self, node: Node, shape: Shape, index: str) -> str:
        """The element that the array, broadcast to `shape`, has at `index`."""
        return f"{self.array(node)}[{place(self.lie.layout(node), shape, index)}]"

    def value(self, node: Node, shape: Shape, index: str) -> str:
        """What an operation takes: a value worked out here, or an element read."""
        return f"n{node.number}" if node in self.inside else self.element(node, shape, index)

    # -- one result for each element -------------------------------------------------------------

    def element_by_element(self, shape: Shape) -> tuple[list[str], int]:
        """The lines, and the number of blocks, for results of this shape."""
        size = math.prod(shape)
        each, whole = SEVERAL if size >= MANY else 1, whole_number(size)
        steps = [self.computation(node, shape, "e") for node in self.one.nodes]
        steps += [f"{self.element(node, shape, 'e')} = n{node.number};" for node in self.one.outputs]
        body = [
            f"for (int k = 0; k < {each}; k++) {{",
            f"  const {whole} e = (({whole})block * {each} + k) * {THREADS} + threadIdx.x;",
            f"  if (e < {size}) {{",
            *(f"    {line}" for line in steps),
            "  }",
            "}",
        ]
        return body, -(-size // (THREADS * each))

    def computation(self, node: Node, shape: Shape, index: str) -> str:
        """The line that gives the value of an operation at an index."""
        kind = type_of(node.dtype)
        if node.kind == "call" and node.detail[0] in FILLED:
            value = number(float(FILLED[node.detail[0]]), node.dtype)
        elif node.kind == "take" or (node.kind == "call" and len(node.sources) == 2):
            value = self.taken(node, index)
        elif node.kind == "elementwise":
            value = expression(node, lambda source: self.value(source, shape, index))
        else:
            raise refuse(f"{node.kind} {getattr(node.detail, '__name__', node.detail)}")
        return f"const {kind} n{node.number} = {value};"

    def taken(self, node: Node, index: str) -> str:
        """The element of rows that are taken along an axis."""
        source, rows = node.sources
        axis = axis_taken(node)
        inner = math.prod(source.shape[axis + 1 :])
        before, after = f"{index} / {inner * math.prod(rows.shape)}", f"{index} % {inner}"
        n = source.shape[axis]
        row = self.element(rows, rows.shape, f"({index} / {inner} % {math.prod(rows.shape)})")
        row = f"row({row}, {n})"
        where = f"(({before}) * {n} + {row}) * {inner} + {after}"
        layout = self.lie.layout(source)
        if axis == 0 and len(source.shape) == 2:  # by its strides, for nothing to be divided twice
            s, t = layout.strides
            spot = f"{row} * {s} + {after} * {t} + {layout.offset}"
            return f"{self.array(source)}[{spot}]"
        return self.element(source, source.shape, f"({where})")

    # -- reductions ------------------------------------------------------------------------------

    def in_lines(self, lines: Lines) -> tuple[list[str], int]:
        """The lines of code, and the number of blocks, for a region with reductions."""
        share = threads_of(lines)  # of a line
        apart = 1 if lines.stride == 1 else THREADS // share
        at_once, whole = THREADS // share, whole_number(lines.count * lines.length)
        lane = f"threadIdx.x / {apart} % {share}"
        line = f"threadIdx.x / {share}" if lines.stride == 1 else f"threadIdx.x % {at_once}"
        element = f"line * {lines.length} + i"
        if lines.stride > 1:
            s = lines.stride
            element = f"(line / {s} * {lines.length} + i) * {s} + line % {s}"
        body = [
            f"const int lane = {lane};",
            f"const {whole} line = ({whole})block * {at_once} + {line};",
            f"const bool mine = line < {lines.count};",
        ]
        after = Stages(self.one, lines)
        for stage in range(after.count):
            body += self.vectors(after, stage - 1, lines)
            sums = after.reductions(stage)
            for node in sums:
                kind = type_of(node.dtype)
                body.append(f"{kind} n{node.number} = {STARTS[node.detail[0]][0]};")
            body += [
                "if (mine) {",
                f"  for ({whole} i = lane; i < {lines.length}; i += {share}) {{",
                f"    const {whole} e = {element};",
            ]
            for node in after.in_loop(stage):
                if node.kind == "reduce":
                    (source,) = node.sources
                    both = STARTS[node.detail[0]][1]
                    of = both.format(f"n{node.number}", self.value(source, lines.shape, "e"))
                    body.append(f"    n{node.number} = {of};")
                else:
                    body.append("    " + self.computation(node, lines.shape, "e"))
            for node in after.stored(stage):
                body.append(f"    {self.element(node, lines.shape, 'e')} = n{node.number};")
            body += ["  }", "}"]
            for node in sums if share > 1 else []:
                kind, both = type_of(node.dtype), STARTS[node.detail[0]][1].format("x", "y")
                combine = f"[]({kind} x, {kind} y) {{ return {both}; }}"
                body.append(
                    f"n{node.number} = together<{share}, {apart}>(n{node.number}, memory, {combine});"
                )
        body += self.vectors(after, after.count - 1, lines)
        return body, -(-lines.count // at_once)

    def vectors(self, after: Stages, stage: int, lines: Lines) -> list[str]:
        """The lines for what has one value a line, and is known after the loop of that stage."""
        known = after.vectors(stage)
        found = [f"{type_of(n.dtype)} n{n.number} = 0;" for n in known if n.kind != "reduce"]
        inside = []
        for node in known:
            if node.kind != "reduce":
                value = expression(node, lambda source: self.value(source, lines.kept, "line"))
                inside.append(f"n{node.number} = {value};")
        stores = [
            f"if (lane == 0) {self.array(node)}[line] = n{node.number};"
            for node in known
            if node in self.one.outputs
        ]
        if inside or stores:
            found += ["if (mine) {", *(f"  {line}" for line in (*inside, *stores)), "}"]
        return found


class Stages:
    """In which pass over its elements a region's values are worked out.

    What goes on from a reduction's result has to wait for a further pass; what an operation needs of an
    earlier pass is worked out again, which is cheaper than to keep it.
    """

    def __init__(self, one: Instruction, lines: Lines) -> None:
        self.one, self.lines = one, lines
        inside = set(one.nodes)
        self.stage: dict[Node, int] = {}  # of an element's value; of a line's: after which pass
        for node in one.nodes:
            found = -1 if node.kind != "reduce" and not self.is_full(node) else 0
            for s in node.inputs:
                if s in inside:
                    step = self.is_full(node) and not self.is_full(s)
                    found = max(found, self.stage[s] + step)
            self.stage[node] = found
        self.count = max(self.stage.values()) + 1

    def is_full(self, node: Node) -> bool:
        """Whether there is a value for each element, not one for a line."""
        return node.kind != "reduce" and node.shape == self.lines.shape

    def reductions(self, stage: int) -> list[Node]:
        return [n for n in self.one.nodes if n.kind == "reduce" and self.stage[n] == stage]

    def stored(self, stage: int) -> list[Node]:
        """What each element's value is kept of in this pass."""
        return [n for n in self.one.outputs if self.is_full(n) and self.stage[n] == stage]

    def vectors(self, stage: int) -> list[Node]:
        """What has one value a line and is known after the pass, the results of reductions included."""
        return [n for n in self.one.nodes if not self.is_full(n) and self.stage[n] == stage]

    def in_loop(self, stage: int) -> list[Node]:
        """What has to be worked out for each element in this pass, in order."""
        wanted = {*self.reductions(stage), *self.stored(stage)}
        for node in reversed(self.one.nodes):
            if node in wanted:
                wanted.update(s for s in node.inputs if s in self.stage and self.is_full(s))
        return [node for node in self.one.nodes if node in wanted]


def whole_number(most: int) -> str:
    """The type of C for an index up to `most`, and some threads more."""
    return "int" if most < 2**31 - THREADS * SEVERAL else "long long"


def threads_of(lines: Lines) -> int:
    """How many threads share a line."""
    if lines.stride > 1:
        return 1 if lines.length <= 16 else THREADS // SIDE
    return min(THREADS, 1 << max(lines.length - 1, 0).bit_length())


def axis_taken(node: Node) -> int:
    """The axis along which rows are taken; raises UntraceableError for what takes none."""
    if node.kind == "take":
        return 0
    function, _, options = node.detail
    if getattr(function, "__name__", "") != "take" or set(options) != {"axis"}:
        raise refuse(f"a call of {getattr(function, '__name__', function)}")
    if not isinstance(options["axis"], int):
        raise refuse("rows taken along no axis")
    return int(options["axis"]) % len(node.sources[0].shape)
