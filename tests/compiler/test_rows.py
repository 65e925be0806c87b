"""A function of rows is traced for one row; what makes rows depend on one another is refused."""

from __future__ import annotations

import numpy as np
import pytest

from portable_nn.compiler.graph import UntraceableError
from portable_nn.compiler.rows import trace_row

pytestmark = pytest.mark.usefixtures("host_only")
W = np.arange(6.0).reshape(2, 3)


def test_the_axis_of_the_rows_is_known_everywhere():
    rows = trace_row(lambda X, W: (W @ X.mT).mT + 1.0, 3, [W])
    axes = {node.kind: rows.axis.get(node) for node in rows.graph.nodes if node is not rows.output}
    assert axes == {"input": None, "view": 0, "matmul": 1}
    assert (rows.axis[rows.row], rows.axis[rows.output]) == (0, 0)
    assert rows.value(rows.graph.inputs[1]) is W
    assert rows.value(rows.row) is None


def test_axes_are_not_confused_where_there_is_one_input_and_one_unit():
    rows = trace_row(lambda X, W: (W @ X.mT).mT, 1, [np.ones((1, 1))])
    assert rows.axis[rows.row] == 0
    assert rows.graph.inputs[1] not in rows.axis


REFUSED = {
    "a sum over the rows": lambda X, W: X - np.sum(X, axis=0, keepdims=True),
    "a sum over everything": lambda X, W: X - np.sum(X),
    "a product over the rows": lambda X, W: X @ (X.mT @ X),
    "the number of rows": lambda X, W: X * float(X.shape[0]),
    "the order of the rows": lambda X, W: X[::-1, :] * 2.0,
    "the first row alone": lambda X, W: X - X[:1, :],
    "rows with columns": lambda X, W: X[:, :1] + X[:, :1].mT,
    "another number of operations": lambda X, W: X if X.shape[0] == 1 else X + 1.0,
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_what_makes_rows_depend_on_one_another_is_refused(what):
    with pytest.raises(UntraceableError):
        trace_row(REFUSED[what], 3, [W])


def test_a_function_that_draws_numbers_is_refused():
    random = np.random.default_rng(0)
    with pytest.raises(UntraceableError, match="or changes"):
        trace_row(lambda X, W: X * random.random(), 3, [W])
