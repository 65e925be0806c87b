"""The CUDA C of a region: reductions over segments, and the elementwise operations around them."""

from __future__ import annotations

from portable_nn.compiler.cuda.expressions import expression, type_of
from portable_nn.compiler.cuda.parts import THREADS, Code, Part, index_type
from portable_nn.compiler.cuda.regions import Segments
from portable_nn.compiler.expressions import REDUCERS, combined
from portable_nn.compiler.graph import Node
from portable_nn.compiler.instructions import Instruction

COLUMNS = 32  # of a block, where several threads share a column


class RegionCode:
    """Writes the code of a region, which goes over the elements of a segment in one or more passes."""

    def __init__(self, part: Part, segments: Segments) -> None:
        self.part, self.segments = part, segments
        self.passes = Passes(part.one, segments)
        self.share = threads_per_segment(segments)
        self.stride = 1 if segments.stride == 1 else THREADS // self.share  # of threads that share one

    def code(self) -> Code:
        """All lines, and the number of blocks."""
        body = self.declarations()
        for number in range(self.passes.count):
            body += self.segment_values(number - 1)
            body += self.pass_over_elements(number)
            body += self.combination(number)
        body += self.segment_values(self.passes.count - 1)
        return body, -(-self.segments.count // (THREADS // self.share))

    def declarations(self) -> list[str]:
        """Which segment this thread works on, and its rank among the threads that share it."""
        at_once, kind = THREADS // self.share, self.index_type()
        segment = (
            f"threadIdx.x / {self.share}" if self.segments.stride == 1 else f"threadIdx.x % {at_once}"
        )
        return [
            f"const int rank = threadIdx.x / {self.stride} % {self.share};",
            f"const {kind} segment = ({kind})block * {at_once} + {segment};",
            f"const bool active = segment < {self.segments.count};",
        ]

    def index_type(self) -> str:
        """The type of C for indices of segments and elements."""
        return index_type(self.segments.count * self.segments.length)

    def pass_over_elements(self, number: int) -> list[str]:
        """The loop over the elements of the segment that belong to this thread."""
        length, stride, shape = self.segments.length, self.segments.stride, self.segments.shape
        kind, element = self.index_type(), f"segment * {length} + i"
        if stride > 1:
            element = f"(segment / {stride} * {length} + i) * {stride} + segment % {stride}"
        body = []
        for node in self.passes.reductions(number):
            body.append(f"{type_of(node.dtype)} n{node.number} = {REDUCERS[node.detail[0]][0]};")
        body += [
            "if (active) {",
            f"  for ({kind} i = rank; i < {length}; i += {self.share}) {{",
            f"    const {kind} e = {element};",
        ]
        for node in self.passes.element_values(number):
            if node.kind == "reduce":
                read = self.part.value(node.sources[0], shape, "e")
                value = combined(node.detail[0], f"n{node.number}", read)
                body.append(f"    n{node.number} = {value};")
            else:
                body.append("    " + self.part.computation(node, shape, "e"))
        for node in self.passes.stored(number):
            body.append(f"    {self.part.element(node, shape, 'e')} = n{node.number};")
        return [*body, "  }", "}"]

    def combination(self, number: int) -> list[str]:
        """The lines that combine the results of the threads that share a segment."""
        body = []
        for node in self.passes.reductions(number) if self.share > 1 else []:
            kind, combine = type_of(node.dtype), combined(node.detail[0], "x", "y")
            function = f"[]({kind} x, {kind} y) {{ return {combine}; }}"
            threads = f"<{self.share}, {self.stride}>"
            body.append(f"n{node.number} = block_reduce{threads}(n{node.number}, shared, {function});")
        return body

    def segment_values(self, number: int) -> list[str]:
        """The lines that compute and store what has one value for each segment after this pass."""
        nodes = self.passes.segment_values(number)
        found = [f"{type_of(n.dtype)} n{n.number} = 0;" for n in nodes if n.kind != "reduce"]
        inside = []
        for node in nodes:
            if node.kind != "reduce":
                value = expression(
                    node, lambda source: self.part.value(source, self.segments.keepdims_shape, "segment")
                )
                inside.append(f"n{node.number} = {value};")
        stores = [
            f"if (rank == 0) {self.part.array(node)}[segment] = n{node.number};"
            for node in nodes
            if node in self.part.one.outputs
        ]
        if inside or stores:
            found += ["if (active) {", *(f"  {line}" for line in (*inside, *stores)), "}"]
        return found


class Passes:
    """In which pass over the elements each value of a region is computed.

    What depends on the result of a reduction has to wait for a further pass. There the values of
    elements that an earlier pass computed are computed again, which is cheaper than to store them.
    """

    def __init__(self, one: Instruction, segments: Segments) -> None:
        self.one, self.segments = one, segments
        inside = set(one.nodes)
        self.number: dict[Node, int] = {}  # of the pass; for a segment's value: after which it is known
        for node in one.nodes:
            found = -1 if node.kind != "reduce" and not self.has_elements(node) else 0
            for s in node.inputs:
                if s in inside:
                    further = self.has_elements(node) and not self.has_elements(s)
                    found = max(found, self.number[s] + further)
            self.number[node] = found
        self.count = max(self.number.values()) + 1

    def has_elements(self, node: Node) -> bool:
        """Whether there is a value for each element, rather than one for each segment."""
        return node.kind != "reduce" and node.shape == self.segments.shape

    def reductions(self, number: int) -> list[Node]:
        """The reductions that this pass makes."""
        return [n for n in self.one.nodes if n.kind == "reduce" and self.number[n] == number]

    def stored(self, number: int) -> list[Node]:
        """The values of elements that this pass stores."""
        return [n for n in self.one.outputs if self.has_elements(n) and self.number[n] == number]

    def segment_values(self, number: int) -> list[Node]:
        """The values of segments that are known after this pass, results of reductions included."""
        return [n for n in self.one.nodes if not self.has_elements(n) and self.number[n] == number]

    def element_values(self, number: int) -> list[Node]:
        """What this pass computes for each element, in order."""
        wanted = {*self.reductions(number), *self.stored(number)}
        for node in reversed(self.one.nodes):
            if node in wanted:
                wanted.update(s for s in node.inputs if s in self.number and self.has_elements(s))
        return [node for node in self.one.nodes if node in wanted]


def threads_per_segment(segments: Segments) -> int:
    """How many threads of a block share a segment."""
    if segments.stride > 1:
        return 1 if segments.length <= 16 else THREADS // COLUMNS
    return min(THREADS, 1 << max(segments.length - 1, 0).bit_length())
