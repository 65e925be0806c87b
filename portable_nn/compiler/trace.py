"""Tracing: a function of NumPy arrays is run once on stand-ins, and its operations are recorded.

A function that looks at a value, or does something else that is not known to give the same bits when it
is compiled, raises `UntraceableError`; it runs eagerly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portable_nn.compiler.graph import Graph, UntraceableError, base
from portable_nn.compiler.signatures import HostArray
from portable_nn.compiler.stand_ins import stand_in
from portable_nn.compiler.tape import Tape
from portable_nn.compiler.traced_array import TracedArray, traced


def trace(
    function: Callable[..., Sequence[Any]], arrays: Sequence[HostArray], to_the_bit: bool = True
) -> Graph:
    """The graph of ``function(*arrays)``, which returns a list of arrays.

    What would be added up in another order than by NumPy is refused, unless `to_the_bit` is False.

    Raises UntraceableError where the function cannot be traced.
    """
    tape = Tape(to_the_bit)
    given = [
        TracedArray(tape, *tape.add("input", i, stand_in(x.shape, x.dtype)))
        for i, x in enumerate(arrays)
    ]
    results = function(*given)
    if tape.refused:
        raise UntraceableError(tape.refused)
    outputs = []
    for result in results:
        array = traced(tape, result)
        outputs.append(array.node if isinstance(array, TracedArray) else tape.constant(array)[0])
    if to_the_bit and not all(base(node).row_major for node in outputs):
        raise UntraceableError("a result is in another memory order in an eager step")
    needed = set(outputs)
    for node in reversed(tape.nodes):
        if node in needed:
            needed.update(node.inputs)
    inputs = [t.node for t in given]
    constants = [n.detail.tobytes() for n in tape.nodes if n.kind == "constant"]
    constants += [(n.number, n.shape, n.dtype) for n in tape.nodes if n.kind == "constant"]
    nodes = [n for n in tape.nodes if n in needed or n.kind == "input"]
    results = [n.number for n in outputs]
    return Graph(nodes, inputs, outputs, [*tape.known, *constants, *results])
