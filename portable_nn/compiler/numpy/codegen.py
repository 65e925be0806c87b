"""Generates the Python function of a plan: calls of NumPy that write to memory allocated beforehand.

The function is called ``bind``: it takes inputs, allocates the memory and makes all views. What it
returns, ``run(start, stop, ...)``, runs these steps; it takes the inputs of which no view is made.
Where the program has memory of its own for its other inputs, ``bind()`` takes none, and returns that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from portable_nn.compiler.graph import Graph, Node, apply_call, base
from portable_nn.compiler.instructions import Instruction
from portable_nn.compiler.layout import layout_of
from portable_nn.compiler.numpy.blocks import emit_group
from portable_nn.compiler.numpy.emitter import Emitter
from portable_nn.compiler.numpy.loop_cache import Loop
from portable_nn.compiler.numpy.loops import Argument
from portable_nn.compiler.plan import Plan
from portable_nn.compiler.signatures import HostArray

Run: TypeAlias = Callable[..., None]  # (start, stop, *the inputs that are given when it runs)
# (*inputs) -> the function that runs it, the outputs, and the inputs in memory of their own
Bind: TypeAlias = Callable[..., tuple[Run, tuple[HostArray, ...], tuple[HostArray, ...]]]
Loops: TypeAlias = Mapping[Instruction, tuple[Loop, list[Argument]]]
NAME = re.compile(r"[a-z]\w*")
PART = 1000  # lines of a step in one function: to compile one takes Python lines x variables of time


class Inputs(NamedTuple):
    """The numbers of the inputs, in three kinds.

    `bound` are those of which views are made: to arrays that are passed, or, where the program
    `owns` them, to its own. `given` are passed each time the program runs; of those `per_step` are
    arrays whose first axis is the steps.
    """

    bound: list[int]
    given: list[int]
    per_step: list[int]
    owns: bool


def generate(graph: Graph, plan: Plan, inputs: Inputs, loops: Loops) -> Bind:
    """The function ``bind``; the groups in `loops` are run by a compiled loop."""
    per_step = inputs.per_step
    emitter = StepEmitter(plan, inputs.bound if inputs.owns else ())
    for node in graph.inputs:
        if node.detail in per_step:
            emitter.per_step_input(node, is_row_index(node, graph))
    for one in plan.instructions:
        if one in loops:
            emitter.loop(*loops[one])
        elif one.is_group:
            emit_group(emitter, one)
        else:
            emitter.instruction(one.nodes[0])
    kept, copies = [], []
    for out, into in plan.copied_to.items():
        target, result = emitter.array(graph.inputs[into]), emitter.array(graph.outputs[out])
        if base(graph.outputs[out]).kind == "input":  # another of these copies may overwrite it
            kept.append(f"kept{out} = {result}.copy()")
            result = f"kept{out}"
        copies.append(f"copyto({target}, {result})")
    parts = [*parts_of(emitter.steps)]
    parts[-1] += [*kept, *copies]
    names = [f"{'e' if n.detail in per_step else 'i'}{n.detail}" for n in graph.inputs]
    bound = [emitter.array(graph.inputs[i]) for i in inputs.bound]
    own, passed = (bound, []) if inputs.owns else ([], bound)
    given = [names[i] for i in inputs.given]
    results = "".join(f"{emitter.array(node)}, " for node in graph.outputs)
    known = emitter.variables | set(passed)
    made = [define_part(f"part{k}", part, emitter, known, given) for k, part in enumerate(parts)]
    emitter.names["in_turn"] = in_turn
    lines = [
        f"def bind({', '.join(passed)}):",
        *(f"    {line}" for line in (*emitter.setup, *emitter.compile)),
        f"    return in_turn({', '.join(made)}), ({results}), ({''.join(f'{x}, ' for x in own)})",
    ]
    define(lines, emitter.names)
    bind: Bind = emitter.names["bind"]
    return bind


def sources_of_rows(graph: Graph) -> set[int]:
    """The numbers of the inputs with which nothing is done but that rows of them are taken."""
    taken = {n.sources[0] for n in graph.nodes if n.kind == "take"}
    used = {s for n in graph.nodes for s in (n.inputs[1:] if n.kind == "take" else n.inputs)}
    return {n.detail for n in graph.inputs if n in taken - used - set(graph.outputs)}


def define(lines: list[str], names: dict[str, Any]) -> None:
    """Define the function that the lines say."""
    exec(compile("\n".join(lines), "<program>", "exec"), names)  # our own text, of no user's


def define_part(
    name: str, part: list[str], emitter: Emitter, known: set[str], given: Sequence[str]
) -> str:
    """Define the function that makes a part's ``run(start, stop, *given)``, and return its call.

    Its arguments are those variables of the setup, of the `known` ones, that the part uses.
    """
    of_step, taken = variables_of(part, emitter.of_step, known)
    call = f"{name}({', '.join(taken)})"
    lines = [
        f"def {call}:",
        f"    def run({', '.join(['start', 'stop', *given])}):",
        "        for step in range(start, stop):",
        *(f"            {line}" for line in [*of_step, *part] or ["pass"]),
        "    return run",
    ]
    define(lines, emitter.names)
    return call


def parts_of(lines: list[str]) -> Iterator[list[str]]:
    """The lines of a step in parts of about PART lines; what is indented stays with its head."""
    part: list[str] = []
    for line in lines:
        if len(part) >= PART and not line.startswith(" "):
            yield part
            part = []
        part.append(line)
    yield part


def variables_of(
    part: list[str], of_step: Mapping[str, str], known: set[str]
) -> tuple[list[str], list[str]]:
    """The assignments with which a part begins, and the variables of the setup that it takes."""
    names = dict.fromkeys(name for line in part for name in NAME.findall(line))
    first = [f"{name} = {value}" for name, value in of_step.items() if name in names]
    names |= dict.fromkeys(name for line in first for name in NAME.findall(line))
    return first, [name for name in names if name in known and name not in of_step]


def in_turn(*parts: Run) -> Run:
    """The function that runs so many steps, each part by part."""
    if len(parts) == 1:
        return parts[0]

    def run(start: int, stop: int, *given: HostArray) -> None:
        for step in range(start, stop):
            for part in parts:
                part(step, step + 1, *given)

    return run


def is_row_index(node: Node, graph: Graph) -> bool:
    """Whether `node` is used for nothing but to say which rows are taken."""
    users = [n for n in graph.nodes if node in n.inputs]
    return all(n.kind == "take" and n.sources[1] is node for n in users)


class StepEmitter(Emitter):
    """Emits everything but elementwise groups by NumPy, which `emit_group` does."""

    def per_step_input(self, node: Node, is_row_index: bool) -> None:
        """An input of the current step; it is copied to one place, so that views of it are made once."""
        given, name = f"e{node.detail}[step]", self.array(node)
        if is_row_index:
            self.of_step[name] = given
        else:
            self.assign_once(name, f"empty({node.shape}, {self.dtype(node.dtype)})")
            self.steps.append(f"copyto({name}, {given})")

    def loop(self, loop: Loop, arguments: list[Argument]) -> None:
        """A group as one compiled loop."""
        arrays = ", ".join(self.reshaped(node, shape) for node, shape in arguments)
        self.compile.append(f"{self.function(loop.compile_for)}({arrays})")
        self.steps.append(f"{self.function(loop.call)}({arrays})")

    def instruction(self, node: Node) -> None:
        """An operation that is not elementwise."""
        if node.kind == "exchange":
            self.exchange(node)
            return
        sources, out = [self.array(source) for source in node.sources], self.array(node)
        if node.kind == "take":
            self.names["take_rows"] = take_rows
            line = f"take_rows({sources[0]}, {sources[1]}, {out})"
        elif node.kind == "reduce":
            ufunc, axis, keepdims = node.detail
            line = f"{self.function(ufunc.reduce)}({sources[0]}, {axis}, None, {out}, {keepdims})"
        elif node.kind == "call":
            self.names["apply_call"] = apply_call
            detail = self.name("call", node.detail)
            line = f"copyto({out}, apply_call({detail}, ({', '.join(sources)},)))"
        else:
            line = self.product(node, sources, out)
        self.steps.append(line)

    def exchange(self, node: Node) -> None:
        """A function that overwrites arrays one behind the other; most of them are computed there."""
        flat, start = self.array(node), 0
        for source in node.inputs:
            stop = start + math.prod(source.shape)
            if self.plan.placed.get(source) != (node, start):
                part = f"{flat}[{start}:{stop}].reshape({source.shape})"
                place = self.assign_once(f"{flat}_{start}", part)
                self.steps.append(f"copyto({place}, {self.array(source)})")
            start = stop
        self.steps.append(f"{self.function(node.detail)}({flat})")

    def product(self, node: Node, sources: list[str], out: str) -> str:
        """A matrix product; numpy.dot, where it gives the same, takes half the time to call."""
        A, B = node.sources
        is_plain = len(A.shape) == len(B.shape) == 2 and min(*A.shape, *B.shape) > 1
        is_plain = is_plain and all(layout_of(X).is_row_or_column_major for X in (A, B))
        multiply = np.dot if is_plain and A.dtype == B.dtype else np.matmul
        return f"{self.function(multiply)}({sources[0]}, {sources[1]}, {out})"


def take_rows(x: HostArray, rows: HostArray, out: HostArray) -> None:
    """Copy rows of x to `out`."""
    if x.flags.c_contiguous:
        x.take(rows, 0, out, "clip")  # "raise" would make a copy first; the rows have been checked
    else:
        out[...] = x[rows]  # `take` would copy all of x first
