"""A function of arrays as the text of a function of JavaScript, which makes the arrays and the step."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.compiler.graph import Graph, Node, UntraceableError
from portable_nn.compiler.javascript.sizes import PRIMES, Dimension, Sizes
from portable_nn.compiler.javascript.writer import NamedMemory, StepWriter
from portable_nn.compiler.languages import JavaScript, is_fusable
from portable_nn.compiler.ordering import order_of_tracing
from portable_nn.compiler.plan import make_plan
from portable_nn.compiler.stand_ins import stand_in
from portable_nn.compiler.trace import trace

RESERVED = re.compile(r"[i-n]|v\d+|(buffer|table)\d\w*|arrays?|given|create|step|dot")
FIND_ARRAY = """const arrays = {};
const array = (name, length, Kind = Float64Array) => {
  const found = given[name] ?? new Kind(length);
  if (!(found instanceof Kind) || found.length !== length) {
    throw new RangeError(`${name} is no ${Kind.name} of ${length} numbers`);
  }
  return (arrays[name] = found);
};"""


@dataclass(frozen=True)
class Named:
    """An array that a step is given: its name, its shape in names of sizes and lengths, its dtype."""

    name: str
    shape: tuple[Dimension, ...]
    dtype: np.dtype[Any] = np.dtype("float64")  # noqa: RUF009  (it is immutable)


@dataclass(frozen=True)
class Step:
    """What is written: ``function(*arguments)`` returns arrays by their names.

    `arguments` are trees of `Named`. A result with the name of an argument overwrites it. `varies` is
    the size that may be less from call to call, such as the number of rows of a batch; None: all are
    fixed when the arrays are made.
    """

    function: Callable[..., Mapping[str, Any]]
    arguments: Sequence[trees.Tree]
    varies: str | None = None

    @property
    def inputs(self) -> list[Named]:
        """All arrays of the arguments."""
        return trees.leaves(list(self.arguments))

    @property
    def sizes(self) -> list[str]:
        """The names of all sizes, in the order in which they are met."""
        names = [d for one in self.inputs for d in one.shape if isinstance(d, str)]
        return list(dict.fromkeys(names))


def source_of(step: Step, name: str, comment: Sequence[str], is_module: bool = True) -> str:
    """The text of ``name(sizes, given)``, an ES module or, without `is_module`, a part of a script.

    The function of JavaScript takes the sizes by their names, and arrays by theirs; it makes those that
    are not given. It returns ``{ arrays, step }``. ``step()`` reads the arrays and overwrites the
    results among them; it allocates nothing. Where a size varies, ``step(size)`` works on fewer rows.

    Raises UntraceableError where the function cannot be traced, does something that there is no code
    for, or depends on the sizes in another way than by loops, strides and 1 over a size.
    """
    names = [one.name for one in step.inputs] + step.sizes
    wrong = [n for n in names if RESERVED.fullmatch(n) or names.count(n) > 1]
    if wrong:
        raise UntraceableError(f"arrays or sizes are called {sorted(set(wrong))}; accepted: other names")
    one, other = (Traced(step, Sizes.of(step.sizes, primes)).lines(name) for primes in PRIMES)
    if one != other:
        line = next((line for line in one if line not in other), "its length")
        raise UntraceableError(
            f"what it does depends on the sizes of its arrays: {line.strip()}; accepted: functions that "
            "compute with a size, or 1 over it, alone"
        )
    one[0] = f"export {one[0]}" if is_module else one[0]
    return "\n".join(["/*", *(f" * {text}".rstrip() for text in comment), " */", *one]) + "\n"


class Traced:
    """A step traced for certain sizes."""

    def __init__(self, step: Step, sizes: Sizes) -> None:
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
        overwrites = {i: self.names.index(n) for i, n in enumerate(self.results) if n in self.names}
        for i, into in overwrites.items():
            check_alike(self.results[i], self.graph.outputs[i], self.graph.inputs[into])
        self.plan = make_plan(
            self.graph, is_fusable, overwrites, order=order_of_tracing, largest=lambda size: size
        )

    def lines(self, name: str) -> list[str]:
        """The lines of the function of JavaScript."""
        memory = NamedMemory(self.graph, self.plan, self.names, self.results)
        writer = StepWriter(memory, self.sizes)
        body = [line for one in self.plan.instructions for line in writer.instruction(one)]
        for node, target in memory.copied:
            memory.used.add(target)
            body += writer.copied(node, target)
        language = writer.language
        wanted = dict(zip(self.results, self.graph.outputs, strict=True))
        wanted |= dict(zip(self.names, self.graph.inputs, strict=True))
        arrays = [self.array(n, node) for n, node in wanted.items() if n in memory.used]
        tables = [t for n, table in memory.tables.items() for t in language.table(n, table)]
        buffers = [
            language.buffer(n, node.dtype, self.count(node)) for n, node in memory.buffers.items()
        ]
        varies, names = self.step.varies, ", ".join(self.step.sizes)
        call = f"step: (size = {varies}) => step(size)" if varies else "step"
        inner = [
            *"\n".join(language.helpers([*buffers, *body])).splitlines(),
            *FIND_ARRAY.splitlines(),
            *arrays,
            *tables,
            *buffers,
            f"function step({varies or ''}) {{",
            *(f"  {line}" for line in body),
            "}",
            f"return {{ arrays, {call} }};",
        ]
        return [f"function {name}({{ {names} }}, given = {{}}) {{", *(f"  {t}" for t in inner), "}"]

    def array(self, name: str, node: Node) -> str:
        """The line that finds or makes an array."""
        kind = JavaScript().array_of(node.dtype)
        more = "" if kind == "Float64Array" else f", {kind}"
        return f'const {name} = array("{name}", {self.count(node)}{more});'

    def count(self, node: Node) -> str:
        """How many elements a node has."""
        return self.sizes.text(math.prod(node.shape))


def check_alike(name: str, result: Node, argument: Node) -> None:
    """Raise UntraceableError unless the result can overwrite the argument."""
    if (result.shape, result.dtype) != (argument.shape, argument.dtype):
        raise UntraceableError(
            f"`{name}` becomes {result.dtype} {result.shape}, and is {argument.dtype} "
            f"{argument.shape}; accepted: a result of the same shape and dtype"
        )
