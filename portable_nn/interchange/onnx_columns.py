"""The encoding of a table as nodes of ONNX: of its columns the rows that networks take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from portable_nn.compiler.signatures import HostArray
from portable_nn.interchange.onnx_operators import TENSOR_TYPES, Nodes
from portable_nn.tabular.columns import MISSING, Categories
from portable_nn.tabular.encoding import BEND, FARTHEST, CategoryCode, Encoding

GAP = ""  # what stands for a category that is missing
DOUBLE = np.dtype(np.float64)


def encoded(
    encoding: Encoding, columns: Sequence[str], nodes: Nodes, dtype: np.dtype[np.floating]
) -> str:
    """Add the nodes of the encoding; the name of the rows (n, n_0), in the `dtype` of the networks.

    `columns` are the names of the inputs, (n, 1) each.

    Raises ValueError for a column in which the empty string is a category, and values were missing.
    """
    kind = TENSOR_TYPES[dtype.name]
    parts = number_units(encoding, columns, nodes, kind)
    for each in encoding.categories:
        if each.is_one_hot:
            codes = nodes.add(
                "Squeeze", coded(each, columns, nodes), nodes.constant(np.asarray([1]), "axis")
            )
            table = nodes.constant(one_hot_table(each).astype(dtype), "units")
            parts.append(nodes.add("Gather", table, codes, axis=0))
    for each in encoding.embedded:
        parts.append(nodes.add("Cast", coded(each, columns, nodes), to=kind))
    if not parts:  # nothing in the table says anything
        shape = nodes.add("Shape", columns[0])
        return nodes.add("ConstantOfShape", shape, value=np.zeros(1, dtype))
    return beside(parts, nodes)


def beside(parts: Sequence[str], nodes: Nodes) -> str:
    """The name of tensors beside one another."""
    return parts[0] if len(parts) == 1 else nodes.add("Concat", *parts, axis=1)


def number_units(encoding: Encoding, columns: Sequence[str], nodes: Nodes, kind: int) -> list[str]:
    """The names of the units of numbers, bent, and of those that say which are missing."""
    if not encoding.numbers:
        return []
    add, codes = nodes.add, encoding.numbers
    center = nodes.constant(np.asarray([each.center for each in codes]), "center")
    scale = nodes.constant(np.asarray([each.scale for each in codes]), "scale")
    zero, one, bend = (nodes.number(x, DOUBLE) for x in (0.0, 1.0, BEND))
    V = beside([columns[each.column] for each in codes], nodes)
    is_gap = add("IsNaN", V)
    Z = add("Div", add("Sub", V, center), scale)
    Z = add("Clip", Z, nodes.number(-FARTHEST, DOUBLE), nodes.number(FARTHEST, DOUBLE))
    ratio = add("Div", Z, bend)
    bent = add("Div", Z, add("Sqrt", add("Add", one, add("Mul", ratio, ratio))))
    found = [add("Cast", add("Where", is_gap, zero, bent), to=kind)]
    if encoding.twice:
        found *= 2
    with_gaps = np.flatnonzero([each.has_gaps for each in codes])
    if len(with_gaps):
        flags = add("Gather", is_gap, nodes.constant(with_gaps, "with_gaps"), axis=1)
        found.append(add("Cast", flags, to=kind))
    return found


def coded(code: CategoryCode, columns: Sequence[str], nodes: Nodes) -> str:
    """The name of the codes of a column of strings, (n, 1) int64."""
    name = columns[code.column]
    if code.has_gaps and GAP in code.levels:
        raise ValueError(
            f"column {name!r} of the table has the category '', and values that are missing, which ONNX "
            "has as the empty string too; accepted: one of them; call fit with another name for ''"
        )
    unseen, *known = code.codes(every_code(code)).tolist()
    keys = [*code.levels, GAP][: len(known)]
    return nodes.add("LabelEncoder", name, keys_strings=keys, values_int64s=known, default_int64=unseen)


def one_hot_table(code: CategoryCode) -> HostArray:
    """The units of each code, (count, units)."""
    column = every_code(code)
    table = np.zeros((code.count, code.units))
    table[code.codes(column)] = code.one_hot(column)
    return table


def every_code(code: CategoryCode) -> Categories:
    """A column with a row for each code: an unseen level, the levels, and a gap if it has a code."""
    unseen = "".join(code.levels) + "?"  # longer than any
    rows = [*range(1 + len(code.levels)), *[MISSING] * code.has_gaps]
    return Categories([unseen, *code.levels], np.asarray(rows))
