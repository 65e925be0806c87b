"""Tracing, and the plan of what has been traced."""

from __future__ import annotations

import numpy as np
import pytest

from portable_nn.compiler.graph import UntraceableError, is_elementwise
from portable_nn.compiler.numpy import CompiledScan
from portable_nn.compiler.plan import make_plan
from portable_nn.compiler.trace import trace

pytestmark = pytest.mark.usefixtures("host_only")


def test_what_reads_a_value_cannot_be_traced():
    for function in (bool, float, int, np.asarray, np.linalg.svd, lambda x: x[np.array([0])]):
        with pytest.raises(UntraceableError):
            trace(lambda x, f=function: [f(x)], [np.ones((3, 3))])


def planned(step, *arrays, places=None):
    graph = trace(step, arrays)
    return graph, make_plan(graph, is_elementwise, places or {})


def test_equal_operations_run_once_and_unneeded_ones_never():
    def step(x):
        np.exp(x)
        return [np.tanh(x) + np.tanh(x)]

    graph, plan = planned(step, np.ones((4, 4)))
    assert [n.kind for n in graph.nodes] == ["input", "elementwise", "elementwise"]
    assert len(plan.instructions) == 1  # one chain


def test_buffers_are_reused():
    def step(W, x):
        for _ in range(20):
            x = np.tanh(W @ x)
        return [x]

    _, plan = planned(step, np.ones((50, 50), "float32"), np.ones((50, 30), "float32"))
    assert sum(plan.buffers) <= 3 * 50 * 30 * 4


def test_an_output_overwrites_an_input_only_if_nothing_reads_the_old_values_later():
    def swapped(x, y):
        return [y + 0.0, x + 0.0]

    _, plan = planned(swapped, np.ones((3, 3)), np.ones((3, 3)), places={0: 0, 1: 1})
    assert len(plan.in_place_of) < 2
    assert plan.copied_to
    scanned = CompiledScan(lambda xp, carry, fixed, one: (carry[1] + one, carry[0] - one), np)
    x, y = scanned((np.ones(3), np.zeros(3)), (), np.ones((7, 1)), (False, False))
    a, b = np.ones(3), np.zeros(3)
    for _ in range(7):
        a, b = b + 1, a - 1
    np.testing.assert_array_equal(x, a)
    np.testing.assert_array_equal(y, b)
