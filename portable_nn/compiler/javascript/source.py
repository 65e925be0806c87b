"""Steps as text of JavaScript: functions that make arrays, and a step that works on them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.compiler.graph import Graph, Node, UntraceableError, base
from portable_nn.compiler.javascript.sizes import PRIMES, Dimension, Sizes
from portable_nn.compiler.javascript.writer import NamedMemory, StepWriter
from portable_nn.compiler.languages import is_fusable
from portable_nn.compiler.languages.javascript import FUNCTIONS
from portable_nn.compiler.languages.language import listed
from portable_nn.compiler.ordering import order_of_tracing
from portable_nn.compiler.plan import make_plan
from portable_nn.compiler.stand_ins import stand_in
from portable_nn.compiler.trace import trace

RESERVED = re.compile(r"[i-n]|v\d+|(buffer|table)\d\w*|arrays|arraysOf|given|lengths|step|size")


@dataclass(frozen=True)
class Named:
    """An array that a step is given: its name, its shape in names of sizes and lengths, its dtype."""

    name: str
    shape: tuple[Dimension, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class NamedStep:
    """What is written: ``function(*arguments)`` returns arrays by their names.

    `arguments` are trees of `Named`. A result with the name of an argument overwrites it. `varies` is
    the size that may be less from call to call, such as the number of rows of a batch; None: all are
    fixed when the arrays are made. `comment` says what the step does.
    """

    function: Callable[..., Mapping[str, Any]]
    arguments: Sequence[trees.Tree]
    varies: str | None = None
    comment: str = ""

    @property
    def inputs(self) -> list[Named]:
        """All arrays of the arguments."""
        return trees.leaves(list(self.arguments))

    @property
    def sizes(self) -> list[str]:
        """The names of all sizes: those of W (n1, n0) are n0 and n1, in this order."""
        names = [d for one in self.inputs for d in reversed(one.shape) if isinstance(d, str)]
        return list(dict.fromkeys(names))


def source_of(steps: Mapping[str, NamedStep], comment: str, is_module: bool = True) -> str:
    """The text of the functions ``name(sizes, given)``, an ES module or, without `is_module`, a script.

    Each takes the sizes by their names, and arrays by theirs; it makes those that are not given. It
    returns ``{ arrays, step }``. ``step()`` reads the arrays and overwrites the results among them; it
    allocates nothing. Where a size varies, ``step(size)`` works on less: arrays along that size are
    then shorter, in row-major order still, and fill the beginning of their memory.

    Raises UntraceableError where a function cannot be traced, does something that there is no code for,
    or depends on the sizes in another way than by loops, strides and 1 over a size.
    """
    called: list[str] = []
    functions: list[str] = []
    for name, step in steps.items():
        lines = lines_of(name, step)
        called += lines
        export = "export " if is_module else ""
        functions += [
            "",
            *([f"// {step.comment}"] if step.comment else []),
            export + lines[0],
            *lines[1:],
        ]
    helpers = StepWriter.helpers([*called, "arraysOf"])
    return "\n".join([f"// {comment}", *helpers, *functions]) + "\n"


def lines_of(name: str, step: NamedStep) -> list[str]:
    """The lines of a function, which hold for all sizes; see `source_of`."""
    one, other = (SizedStep(step, Sizes.of(step.sizes, primes)).lines(name) for primes in PRIMES)
    if one != other:
        line = next((line for line in one if line not in other), "its length")
        raise UntraceableError(
            f"what {name} does depends on the sizes of its arrays: {line.strip()}; accepted: functions "
            "that compute with a size, or 1 over it, alone"
        )
    return one


class SizedStep:
    """A step traced for certain sizes."""

    def __init__(self, step: NamedStep, sizes: Sizes) -> None:
        self.step, self.sizes = step, sizes
        self.results: list[str] = []
        stand_ins = [stand_in(sizes.shape(one.shape), one.dtype) for one in step.inputs]
        form = trees.flatten(list(step.arguments))[1]

        def function(*arrays: Any) -> list[Any]:
            try:
                found = step.function(*trees.unflatten(form, arrays))
            except UntraceableError:
                raise
            except Exception as error:
                raise UntraceableError(f"it cannot be traced: {error}") from error
            self.results = list(found)
            return list(found.values())

        self.graph: Graph = trace(function, stand_ins, to_the_bit=False)
        self.names = [one.name for one in step.inputs]
        new = [result for result in self.results if result not in self.names]
        check_names([*self.names, *new, *step.sizes])
        overwrites = {i: self.names.index(n) for i, n in enumerate(self.results) if n in self.names}
        check_overwritten(self.graph, self.results, overwrites)
        self.plan = make_plan(
            self.graph, is_fusable, overwrites, order=order_of_tracing, largest=lambda size: size
        )

    def lines(self, name: str) -> list[str]:
        """The lines of the function of JavaScript."""
        memory = NamedMemory(self.graph, self.plan, self.sizes, self.names, self.results)
        writer = StepWriter(memory)
        body = [line for one in self.plan.instructions for line in writer.instruction(one)]
        for node, target in memory.copied:
            memory.used.add(target)
            body += writer.copied(node, target)
        nodes = dict(zip(self.results, self.graph.outputs, strict=True))
        nodes |= dict(zip(self.names, self.graph.inputs, strict=True))
        arrays = {n: node for n, node in nodes.items() if n in memory.used}
        lengths = [f"{n}: {self.described(node, writer)}" for n, node in arrays.items()]
        varies, names = self.step.varies, ", ".join(self.step.sizes)
        sizes = f"{{ {names} }}" if names else "sizes"
        check = f"if (!(size >= 1 && size <= {varies})) throw new RangeError(`{varies} is ${{size}}`);"
        rest = ["return { arrays, step };"]
        if varies:
            rest = [f"return {{ arrays, step(size = {varies}) {{", f"  {check}", "  step(size);", "} };"]
        inner = [
            *listed("const arrays = arraysOf(given, {", lengths, "});"),
            *listed("const {", list(arrays), "} = arrays;"),
            *(t for n, table in memory.tables.items() for t in writer.language.table(n, table)),
            *writer.buffers(memory.buffers),
            f"function step({varies or ''}) {{",
            *(f"  {line}" for line in body),
            "}",
            *rest,
        ]
        return [f"function {name}({sizes}, given = {{}}) {{", *(f"  {t}" for t in inner), "}"]

    def described(self, node: Node, writer: StepWriter) -> str:
        """How many elements an array has, axis by axis, and its kind where it holds no doubles."""
        lengths = [self.sizes.text(n) for n in node.shape if n != 1]
        length, kind = " * ".join(lengths) or "1", writer.language.array_of(node.dtype)
        return length if kind == "Float64Array" else f"[{length}, {kind}]"


def check_names(names: Sequence[str]) -> None:
    """Raise UntraceableError for names of arrays and sizes that the text needs itself, or has twice."""
    twice = [n for n in names if names.count(n) > 1]
    needed = [n for n in names if RESERVED.fullmatch(n) or n in FUNCTIONS or not n.isidentifier()]
    wrong = {*twice, *needed}
    if wrong:
        raise UntraceableError(f"arrays or sizes are called {sorted(wrong)}; accepted: other names")


def check_overwritten(graph: Graph, results: Sequence[str], overwrites: Mapping[int, int]) -> None:
    """Raise UntraceableError unless the results can overwrite the arguments of their names."""
    overwritten = {graph.inputs[into] for into in overwrites.values()}
    for i, into in overwrites.items():
        result, argument = graph.outputs[i], graph.inputs[into]
        if (result.shape, result.dtype) != (argument.shape, argument.dtype):
            raise UntraceableError(
                f"`{results[i]}` becomes {result.dtype} with {math.prod(result.shape)} elements; "
                "accepted: a result of the shape and dtype of the argument"
            )
    for i, node in enumerate(graph.outputs):
        own = graph.inputs[overwrites[i]] if i in overwrites else None
        if base(node) in overwritten - {own}:
            raise UntraceableError(
                f"`{results[i]}` becomes an argument that is overwritten; accepted: a new array"
            )
