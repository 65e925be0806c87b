"""The parts of a model one after the other, and each as operations on a column, with its arrays."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from portable_nn import backends
from portable_nn.compiler.rows import RowGraph, trace_column
from portable_nn.compiler.signatures import HostArray
from portable_nn.equations import ACTIVATIONS, Activation, Array, Namespace, forward
from portable_nn.equations.features import COSINE
from portable_nn.equations.segments import picked
from portable_nn.layers import Embedding, Layer, Periodic, PiecewiseLinear
from portable_nn.layers.columns import joined, others, rows_of
from portable_nn.layers.described import Layers

Forward: TypeAlias = Callable[[Namespace, Sequence[Array], Array], Array]
OF_PERIODIC = (COSINE, ACTIVATIONS["identity"])


class Part(NamedTuple):
    """A layer or an activation, with its arrays on the host, above n units.

    `number` is that of the last layer with arrays, from 1, as in the names of arrays.
    """

    layer: Layer | Activation
    theta: tuple[HostArray, ...]
    n: int
    number: int

    @property
    def name(self) -> str:
        """What it is called: Dense, relu."""
        return self.layer.name if isinstance(self.layer, Activation) else type(self.layer).__name__

    @property
    def described(self) -> str:
        """What it is called in messages."""
        kind = "activation" if isinstance(self.layer, Activation) else "layer"
        return f"the {kind} {self.name!r} of layer {max(self.number, 1)}"

    @property
    def width(self) -> int:
        """How many units it gives."""
        return self.n if isinstance(self.layer, Activation) else self.layer.width(self.n)

    def named(self) -> dict[str, HostArray]:
        """Its arrays by the symbols of the equations; those that one network shares with others too."""
        arrays = () if isinstance(self.layer, Activation) else self.layer.parameters(self.n)
        return {array.symbol: x for array, x in zip(arrays, self.theta, strict=True)}


def parts_of(n_0: int, layers: Layers, params: Sequence[tuple[HostArray, ...]]) -> list[Part]:
    """The parts of a network of these layers, on n_0 inputs."""
    found, n, given = list[Part](), n_0, iter(params)
    number = 0
    for layer in layers:
        has_arrays = isinstance(layer, Layer) and bool(layer.parameters(n))
        number += has_arrays
        found.append(Part(layer, next(given) if has_arrays else (), n, number))
        n = found[-1].width
    return found


class ColumnForm(NamedTuple):
    """What a part computes of a column A (n, B) with axes of matrices alone: no stacks, no whole tables.

    `forward(xp, arrays, A)` gives its output; `arrays` are made of those of the part, by name.
    """

    arrays: dict[str, HostArray]
    forward: Forward


def column_form(part: Part) -> ColumnForm:
    """The operations of a part, of which C, JavaScript and ONNX are written."""
    layer = part.layer
    if isinstance(layer, Activation):
        return ColumnForm({}, lambda xp, _, A: layer.g(xp, A))
    if isinstance(layer, Embedding):
        return embedding_form(layer, part)
    if isinstance(layer, Periodic):
        return periodic_form(layer, part)
    if isinstance(layer, PiecewiseLinear):
        return piecewise_linear_form(layer, part)
    return ColumnForm(part.named(), lambda xp, theta, A: layer.forward(xp, theta, A)[0])


def embedding_form(layer: Embedding, part: Part) -> ColumnForm:
    """A table for each column, with vectors of NaN after the last: what is no code picks those."""
    (E,), tables, start = part.theta, {}, 0
    for column, n in layer.levels:
        own = E[:, start : start + n]
        tables[f"E{column}"] = np.concatenate([own, np.full_like(own[:, :1], np.nan)], axis=1)
        start += n

    def form(xp: Namespace, theta: Sequence[Array], A: Array) -> Array:
        vectors = []
        for (column, n), table in zip(layer.levels, theta, strict=True):
            x = A[column, :]
            is_code = (x >= 0.0) & (x < float(n)) & (x == xp.floor(x))
            x = xp.where(is_code, x, xp.zeros_like(x) + float(n))
            vectors.append(picked(xp, table, xp.astype(x, xp.int32)))
        if len(vectors) > 1:  # of each entry those of all columns
            vectors = [one[d : d + 1, :] for d in range(layer.dim) for one in vectors]
        return joined(xp, [*rows_of(A, others(layer.columns, part.n)), *vectors])

    return ColumnForm(tables, form)


def periodic_form(layer: Periodic, part: Part) -> ColumnForm:
    """The network of each column by itself."""
    columns = layer._chosen(part.n)
    (W, c), (V, e) = layer._networks(backends.get("numpy").xp, part.theta, len(columns))
    arrays: dict[str, Any] = {
        f"{symbol}{column}": array[f]
        for f, column in enumerate(columns)
        for symbol, array in (("w", W), ("c", c), ("V", V), ("e", e))
    }

    def form(xp: Namespace, theta: Sequence[Array], A: Array) -> Array:
        units = []
        for f, column in enumerate(columns):
            w, c, V, e = theta[4 * f : 4 * f + 4]
            units.append(forward(xp, [(w, c), (V, e)], A[column : column + 1, :], OF_PERIODIC)[1][-1])
        rest = rows_of(A, others(columns, part.n))
        return joined(xp, [*rest, *rows_of(A, columns), *units])

    return ColumnForm(arrays, form)


def piecewise_linear_form(layer: PiecewiseLinear, part: Part) -> ColumnForm:
    """The bins of each column by themselves."""
    columns, given = layer._chosen(part.n), part.named()
    alone, arrays, bins = list[PiecewiseLinear](), dict[str, HostArray](), 0
    for column, edges in zip(columns, layer.edges, strict=True):
        alone.append(PiecewiseLinear([edges]))
        stop = bins + len(edges) - 1
        own = {symbol: array[bins:stop] for symbol, array in given.items()}
        own["index"] = np.zeros_like(own["low"])
        arrays |= {f"{symbol}{column}": array for symbol, array in own.items()}
        bins = stop

    def form(xp: Namespace, theta: Sequence[Array], A: Array) -> Array:
        units = [
            one.forward(xp, theta[5 * f : 5 * f + 5], A[column : column + 1, :])[0]
            for f, (one, column) in enumerate(zip(alone, columns, strict=True))
        ]
        return joined(xp, [*rows_of(A, others(columns, part.n)), *units])

    return ColumnForm(arrays, form)


class Traced(NamedTuple):
    """The graph of the prediction of a column, and the names of the arrays that it shares."""

    graph: RowGraph
    names: list[str]


def traced(parts: Sequence[Part], dtype: np.dtype[Any]) -> Traced:
    """The parts one after the other; UntraceableError where one of them cannot be traced."""
    xp, forms = backends.get("numpy").xp, [column_form(part) for part in parts]
    named = [
        (re.sub(r"\W", "_", f"{symbol}_{part.number}"), np.ascontiguousarray(array, dtype))
        for part, form in zip(parts, forms, strict=True)
        for symbol, array in form.arrays.items()
    ]

    def prediction(A: Array, *flat: Array) -> Array:
        given = iter(flat)
        for form in forms:
            A = form.forward(xp, [next(given) for _ in form.arrays], A)
        return A

    graph = trace_column(prediction, parts[0].n, [array for _, array in named], dtype)
    return Traced(graph, [name for name, _ in named])
