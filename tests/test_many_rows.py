"""Sums over ten million rows in float32 keep their digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")
ROWS = 10_000_000


@pytest.fixture(scope="module")
def rows() -> tuple[Any, Any, dict[str, Any]]:
    """X, Y and, in float64, the cost and the gradients for W = 0.3, b = 0.1."""
    random = np.random.default_rng(0)
    X = random.standard_normal((ROWS, 1), dtype="float32") + 1
    Y = 2 * X + random.standard_normal((ROWS, 1), dtype="float32")
    E = X * np.float64(np.float32(0.3)) + np.float64(np.float32(0.1)) - Y
    return X, Y, {"J": np.mean(E * E) / 2, "W": np.mean(E * X), "b": np.mean(E)}


def test_cost_and_gradients_of_ten_million_rows_are_those_of_float64(rows, backend, margin):
    X, Y, exact = rows
    net = pnn.Network((1, 1), ("identity",), "squared_error")
    params = [tuple(backend.asarray(np.full((1, 1), v, dtype="float32")) for v in (0.3, 0.1))]
    x, y = backend.asarray(X), backend.asarray(Y)
    J, ((dW, db),) = net.cost_and_gradients(params, x, y)
    found = {"J": J, "W": dW, "b": db}
    for name, value in found.items():
        off = float(abs(backend.to_numpy(value).ravel()[0] / exact[name] - 1))
        assert margin("10 million rows, float32", backend.name, off) < 2e-5
    at_rest = pnn.SGD(1e-30)
    for batch_size in (None, 50_000):
        _, history = pnn.fit(net, params, x, y, at_rest, epochs=1, batch_size=batch_size)
        off = float(abs(history.cost[0] / exact["J"] - 1))
        assert margin("their mean cost in an epoch", backend.name, off) < 1e-5
