"""Memory layouts, worked out before any array exists, are those of NumPy's arrays."""

from __future__ import annotations

import numpy as np
import pytest

from portable_nn.compiler.layout import layout_of, merged_axes
from portable_nn.compiler.trace import trace

pytestmark = pytest.mark.usefixtures("host_only")

VIEWS = {
    "whole": lambda x: x[...],
    "transposed": lambda x: x.mT,
    "rows": lambda x: x[1:3, :],
    "columns": lambda x: x[:, 2:5],
    "every other": lambda x: x[::2, 1::2],
    "backwards": lambda x: x[::-1, ::-1],
    "an element": lambda x: x[2, 3, ...],
    "a row of the transposed": lambda x: x.mT[2, ...],
    "a new axis": lambda x: x[:, None, 1:],
    "one column": lambda x: x[:, :1],
    "nothing": lambda x: x[:, :0],
}


@pytest.mark.parametrize("view", list(VIEWS))
def test_a_layout_is_that_of_numpys_view(view):
    x = np.arange(24.0).reshape(4, 6)
    graph = trace(lambda x: [VIEWS[view](x)], [x])
    expected, found = VIEWS[view](x), layout_of(graph.outputs[0])
    assert found.shape == expected.shape
    assert found.is_contiguous == expected.flags.c_contiguous
    assert found.is_row_or_column_major == expected.flags.forc
    for index in np.ndindex(expected.shape):
        assert x.ravel()[found.offset + np.dot(index, found.strides).astype(int)] == expected[index]


@pytest.mark.parametrize(
    ("shapes", "merged"),
    [
        ([(3, 4, 5), (3, 4, 5), ()], [(60,), (60,), (1,)]),
        ([(3, 4, 5), (3, 1, 1)], [(3, 20), (3, 1)]),
        ([(3, 4, 5), (5,)], [(12, 5), (1, 5)]),
        ([(3, 4, 5), (3, 4, 1), (5,)], [(12, 5), (12, 1), (1, 5)]),
        ([(3, 4, 5), (3, 1, 5)], [(3, 4, 5), (3, 1, 5)]),
        ([(1, 4, 1), (4, 1)], [(4,), (4,)]),
        ([(1, 1), ()], [(1,), (1,)]),
    ],
)
def test_axes_are_merged_where_every_array_has_one_stride_for_them(shapes, merged):
    graph = trace(lambda *x: list(x), [np.ones(shape) for shape in shapes])
    full, found = merged_axes(shapes[0], {node: layout_of(node) for node in graph.inputs})
    assert [full, *(found[node] for node in graph.inputs[1:])] == merged
    assert found[graph.inputs[0]] == full
