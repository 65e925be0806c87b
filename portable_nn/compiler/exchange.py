"""Arrays that a step hands to a function outside of it, in one piece of memory: a sum over processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from portable_nn.compiler.graph import Graph, Node, is_computed
from portable_nn.compiler.instructions import Readers
from portable_nn.compiler.signatures import HostArray
from portable_nn.compiler.stand_ins import stand_in
from portable_nn.compiler.traced_array import TracedArray, traced

InPlace: TypeAlias = Callable[[HostArray], None]  # overwrites a flat array


def exchanged(function: InPlace, arrays: Sequence[Any]) -> Any:
    """The arrays one behind the other, as the function leaves them: a flat array (n,).

    The arrays are NumPy's, of one dtype, or those of a step that is being traced; they are not changed.
    """
    if any(type(x) is TracedArray for x in arrays):
        return recorded(function, arrays)
    flat = np.concatenate([np.reshape(x, -1) for x in arrays])
    function(flat)
    return flat


def recorded(function: InPlace, arrays: Sequence[Any]) -> TracedArray:
    """The same in a step that is being traced: an operation of its own kind."""
    tape = next(x.tape for x in arrays if type(x) is TracedArray)
    found = [traced(tape, x) for x in arrays]
    if len({x.dtype for x in found}) != 1:
        tape.refuse("an exchange of arrays of several dtypes")
    total = sum(x.size for x in found)
    nodes = [x.node for x in found]
    compute = lambda: stand_in((total,), found[0].dtype)  # noqa: E731
    return TracedArray(tape, *tape.record("exchange", nodes, function, function, compute))


def unpacked(xp: Any, flat: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """Arrays of these shapes, which lie one behind the other in `flat`."""
    found, start = [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        found.append(xp.reshape(flat[start:stop], shape))
        start = stop
    return found


def place_exchanged(
    graph: Graph, readers: Readers, results: set[Node], taken: set[Node]
) -> dict[Node, tuple[Node, int]]:
    """The arrays that are computed where they are exchanged, and their position there.

    Those are arrays that nothing else reads, and that are not `taken`: others are copied.
    """
    placed: dict[Node, tuple[Node, int]] = {}
    for node in graph.nodes:
        if node.kind != "exchange":
            continue
        start = 0
        for source in node.inputs:
            is_free = is_computed(source) and source not in results and source not in taken
            if is_free and source not in placed and len(readers[source]) == 1:
                placed[source] = node, start
            start += math.prod(source.shape)
    return placed
